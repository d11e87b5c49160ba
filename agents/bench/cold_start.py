"""Measures how long a new process takes until the first result of its worker processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time

from ...messages import MeasurementFailed
from .first_result import FIRST_RESULT

TIMEOUT_S = 60.0

_EXIT_TIMEOUT_S = 10.0


async def measure_cold_start(*, workers: int, slots: int, insecure: bool) -> float:
    """Start Python, which starts a manager and its workers, and wait for the first result.

    Args:
        workers: how many worker processes it starts; the first that joins performs the task.
        slots: how many tasks each could run at once.
        insecure: do not seal frames.

    Returns:
        How long it took, in seconds.

    Raises:
        MeasurementFailed: there was no result.
    """
    plan = json.dumps({"workers": workers, "slots": slots, "insecure": insecure})
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "muster.agents.bench.fresh_process", plan),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        # This process handles Ctrl-C: it closes the other's stdin.
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), TIMEOUT_S)
        took_s = time.perf_counter() - began
        if line.strip() != FIRST_RESULT.encode():
            raise MeasurementFailed("a new process ended before its first result")
        return round(took_s, 4)
    except asyncio.TimeoutError:
        raise MeasurementFailed(
            f"a new process had no result within {TIMEOUT_S:g} s of its start"
        ) from None
    finally:
        await asyncio.shield(_end(process))


async def _end(process: asyncio.subprocess.Process) -> None:
    """Close a process's stdin so that it ends; kill it with its workers if it does not."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), _EXIT_TIMEOUT_S)
    except asyncio.TimeoutError:
        if sys.platform == "win32":
            process.kill()
        else:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
