"""Runs a manager and workers up to the first result, in a process of its own.

It prints `FIRST_RESULT` on stdout, and ends when its stdin is closed.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading

from ..worker_pool.fork_server import ForkServer
from .tasks import NOTHING
from .workers import BenchPlan, BenchWorkers

FIRST_RESULT = "first result"


async def run_to_first_result(plan: BenchPlan, fork_server: ForkServer) -> None:
    """Start workers, have one task performed, print that, and stay until stdin is closed.

    Args:
        plan: how many workers, and how they run.
        fork_server: forks the worker processes.
    """
    workers = BenchWorkers(plan, fork_server)
    stdin_closed = _end_of_stdin()
    working = asyncio.ensure_future(_work(workers))
    try:
        await asyncio.wait([stdin_closed, working], return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
            await stdin_closed
    finally:
        working.cancel()
        # Only this task knows a process that is just being started.
        await asyncio.wait([working])
        await workers.end()


async def _work(workers: BenchWorkers) -> None:
    await workers.start()
    await workers.run_one(workers.new_task(NOTHING))
    sys.stdout.write(f"{FIRST_RESULT}\n")
    sys.stdout.flush()


def _end_of_stdin() -> asyncio.Future[None]:
    loop = asyncio.get_running_loop()
    ended = loop.create_future()

    def set_ended() -> None:
        if not ended.done():
            ended.set_result(None)

    def wait() -> None:
        # Not by sys.stdin: an exiting interpreter would wait for its lock.
        while os.read(0, 1):
            pass
        loop.call_soon_threadsafe(set_ended)

    threading.Thread(target=wait, daemon=True).start()
    return ended
