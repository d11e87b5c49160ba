"""arq over a Redis of its own: two worker processes of 64 jobs at once, polled without pause.

Started with an order it submits; imported by arq's command it is what the workers run.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from typing import Any

import work
from arq import create_pool
from arq.connections import RedisSettings
from peer import play, this_folder

REDIS = RedisSettings.from_dsn(os.environ["MUSTER_COMPARE_REDIS"])
POLL_S = 0.001
SUBMITTED_AT_ONCE = 500


async def nothing(context: dict[Any, Any], argument: dict[str, int]) -> int:
    return work.nothing(argument)


async def echo(context: dict[Any, Any], payload: bytes) -> bytes:
    return work.echo(payload)


class WorkerSettings:
    functions = (nothing, echo)
    redis_settings = REDIS
    max_jobs = 64
    poll_delay = POLL_S
    queue_read_limit = 64
    log_results = False


class ArqPeer:
    async def start(self) -> None:
        self._workers = [
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "arq", "arq_peer.WorkerSettings"),
                cwd=this_folder(),
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            for _ in range(2)
        ]
        self._pool = await create_pool(REDIS)

    async def run_many(self, arguments: Sequence[dict[str, int]]) -> list[int]:
        return await self._results("nothing", arguments)

    async def run_one(self, argument: dict[str, int]) -> int:
        return (await self._results("nothing", [argument]))[0]

    async def echo_many(self, payloads: Sequence[bytes]) -> list[bytes]:
        return await self._results("echo", payloads)

    async def _results(self, function: str, arguments: Sequence[Any]) -> list[Any]:
        jobs = []
        for begin in range(0, len(arguments), SUBMITTED_AT_ONCE):
            batch = arguments[begin : begin + SUBMITTED_AT_ONCE]
            jobs += await asyncio.gather(
                *(self._pool.enqueue_job(function, argument) for argument in batch)
            )
        return [await job.result(poll_delay=POLL_S) for job in jobs]

    async def stop(self) -> None:
        await self._pool.aclose()
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            await worker.wait()


if __name__ == "__main__":
    play(ArqPeer())
