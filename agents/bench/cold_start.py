"""How long a fresh process takes to its first result, its worker processes' start included."""

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

MAY_TAKE_S = 60.0

_MAY_END_IN_S = 10.0


async def measure_cold_start(*, workers: int, slots: int, insecure: bool) -> float:
    """Start Python, which starts a manager and its workers, and wait for the first result.

    Args:
        workers: how many worker processes it starts; the first that is there does the task.
        slots: how many tasks each would run at once.
        insecure: do not seal frames.

    Returns:
        The seconds that it took.

    Raises:
        MeasurementFailed: no result came.
    """
    order = json.dumps({"workers": workers, "slots": slots, "insecure": insecure})
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "muster.agents.bench.fresh_process", order),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        # Ctrl-C is for this process, which then closes the other's stdin.
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), MAY_TAKE_S)
        took_s = time.perf_counter() - began
        if line.strip() != FIRST_RESULT.encode():
            raise MeasurementFailed("a fresh process ended before its first result")
        return round(took_s, 4)
    except asyncio.TimeoutError:
        raise MeasurementFailed(
            f"a fresh process had no result within {MAY_TAKE_S:g} s of its start"
        ) from None
    finally:
        await asyncio.shield(_end(process))


async def _end(process: asyncio.subprocess.Process) -> None:
    """Let a process end by closing its stdin, and kill it with its workers if it does not."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), _MAY_END_IN_S)
    except asyncio.TimeoutError:
        if sys.platform == "win32":
            process.kill()
        else:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
