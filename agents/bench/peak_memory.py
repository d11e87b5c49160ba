"""Measures the peak resident memory of this process."""

from __future__ import annotations

import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


def measure_peak_memory() -> int | None:
    """The peak of this process's resident memory in bytes; None if unknown."""
    if sys.platform == "win32":
        return None
    if _STATUS.exists():
        # getrusage would return the peak of the parent process if that was larger.
        for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return 1_024 * int(line.split()[1])
        return None
    import resource  # noqa: PLC0415 - not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1_024 * peak
