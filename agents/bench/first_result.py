"""A manager and workers up to the first result, in a process that is there for nothing else.

It says `FIRST_RESULT` on stdout, and ends when its stdin does.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading

from ..worker_pool.fork_server import ForkServer
from .crew import BenchPlan, BenchWorkers
from .tasks import NOTHING

FIRST_RESULT = "first result"


async def come_to_first_result(order: BenchPlan, nursery: ForkServer) -> None:
    """Start a crew, have one task done, say so, and stay until stdin ends.

    Args:
        order: what crew there is to be.
        nursery: makes its worker processes.
    """
    crew = BenchWorkers(order, nursery)
    told_to_end = _end_of_stdin()
    working = asyncio.ensure_future(_work(crew))
    try:
        await asyncio.wait([told_to_end, working], return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
            await told_to_end
    finally:
        working.cancel()
        # A process that is just being started is known to it alone.
        await asyncio.wait([working])
        await crew.end()


async def _work(crew: BenchWorkers) -> None:
    await crew.start()
    await crew.run_one(crew.new_task(NOTHING))
    sys.stdout.write(f"{FIRST_RESULT}\n")
    sys.stdout.flush()


def _end_of_stdin() -> asyncio.Future[None]:
    loop = asyncio.get_running_loop()
    ended = loop.create_future()

    def tell() -> None:
        if not ended.done():
            ended.set_result(None)

    def wait() -> None:
        # Not by sys.stdin, whose lock an ending interpreter would wait for.
        while os.read(0, 1):
            pass
        loop.call_soon_threadsafe(tell)

    threading.Thread(target=wait, daemon=True).start()
    return ended
