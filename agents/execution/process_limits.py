"""How many tasks a process of a pool runs, and how much memory it may use, before it is replaced.

The memory is the resident set of the process, without that of processes it starts.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

from ...messages import InvalidInput, MemoryLimit
from ...messages.wording import show

MIN_MEMORY_MB = 50
"""The lowest limit: a Python process that has imported Muster needs nearly as much."""

KILL_FACTOR = 1.5
"""A process is killed during a task above this many times its limit."""

_BYTES_PER_MB = 1_000_000
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """When a process of a pool is replaced.

    Args:
        max_tasks_per_child: after how many tasks, 1 or more; None for no limit.
        max_memory_mb: above how much resident memory, in megabytes of 1,000,000 bytes, 50 or more;
            None for no limit. Above 1.5 times that, it is killed during its task.

    Raises:
        InvalidInput: a limit is out of range, or this system can't tell how much memory a process
            uses.
    """

    max_tasks_per_child: int | None = None
    max_memory_mb: float | None = None

    def __post_init__(self) -> None:
        if self.max_tasks_per_child is not None:
            _check_tasks(self.max_tasks_per_child)
        if self.max_memory_mb is not None:
            _check_memory(self.max_memory_mb)

    def is_reached(self, tasks_done: int, pid: int) -> bool:
        """Whether an idle process must be replaced."""
        if self.max_tasks_per_child is not None and tasks_done >= self.max_tasks_per_child:
            return True
        if self.max_memory_mb is None:
            return False
        used_mb = resident_mb(pid)
        return used_mb is not None and used_mb > self.max_memory_mb

    def find_excess(self, pid: int) -> MemoryLimit | None:
        """The error of a process that must be killed during its task; None if it may go on."""
        if self.max_memory_mb is None:
            return None
        used_mb = resident_mb(pid)
        if used_mb is None or used_mb <= self.max_memory_mb * KILL_FACTOR:
            return None
        return MemoryLimit(
            f"the process used {used_mb:.0f} MB; max_memory_mb is {self.max_memory_mb:g}, and a "
            f"process is killed above {KILL_FACTOR:g} times that"
        )


def _check_tasks(tasks: object) -> None:
    if isinstance(tasks, bool) or not isinstance(tasks, int) or tasks < 1:
        raise InvalidInput(
            f"max_tasks_per_child is {show(tasks)}; it must be a whole number of 1 or more, or "
            "None for no limit"
        )


def _check_memory(memory: object) -> None:
    if (
        isinstance(memory, bool)
        or not isinstance(memory, int | float)
        or not (memory >= MIN_MEMORY_MB and math.isfinite(memory))
    ):
        raise InvalidInput(
            f"max_memory_mb is {show(memory)}; it must be a number of {MIN_MEMORY_MB} or more, "
            "since a Python process needs nearly that much, or None for no limit"
        )
    if resident_mb(os.getpid()) is None:
        raise InvalidInput(
            f"max_memory_mb is {show(memory)}, but this system does not tell how much memory a "
            f"process uses: there is no {_PROC}/PID/statm, as on Linux; leave it out"
        )


def resident_mb(pid: int) -> float | None:
    """The resident memory of a process, in megabytes of 1,000,000 bytes.

    Returns:
        None if there is no such process, or the system does not tell.
    """
    try:
        pages = int((_PROC / str(pid) / "statm").read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / _BYTES_PER_MB
