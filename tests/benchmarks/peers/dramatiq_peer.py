"""dramatiq over a Redis of its own: two worker processes of eight threads, results in Redis.

Started with an order it submits; imported by dramatiq's command it is what the workers run.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend
from peer import play, this_folder
from work import echo, nothing

URL = os.environ["MUSTER_COMPARE_REDIS"]
RESULTS_MAY_TAKE_MS = 300_000

# Payloads are bytes, which its JSON can't carry; it is no slower for small tasks.
dramatiq.set_encoder(dramatiq.PickleEncoder())
broker = RedisBroker(url=URL)
broker.add_middleware(Results(backend=RedisBackend(url=URL, encoder=dramatiq.PickleEncoder())))
dramatiq.set_broker(broker)

nothing_actor = dramatiq.actor(nothing, store_results=True, max_retries=0)
echo_actor = dramatiq.actor(echo, store_results=True, max_retries=0)


class DramatiqPeer:
    async def start(self) -> None:
        self._workers = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "dramatiq", "dramatiq_peer"),
            *("--processes", "2", "--threads", "8", "--path", str(this_folder())),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )

    async def run_many(self, arguments: Sequence[dict[str, int]]) -> list[int]:
        return _results(nothing_actor, arguments)

    async def run_one(self, argument: dict[str, int]) -> int:
        message = nothing_actor.send(argument)
        return message.get_result(block=True, timeout=RESULTS_MAY_TAKE_MS)

    async def echo_many(self, payloads: Sequence[bytes]) -> list[bytes]:
        return _results(echo_actor, payloads)

    async def stop(self) -> None:
        self._workers.terminate()
        await self._workers.wait()


def _results(actor: dramatiq.Actor[Any, Any], arguments: Sequence[Any]) -> list[Any]:
    group = dramatiq.group([actor.message(argument) for argument in arguments]).run()
    return list(group.get_results(block=True, timeout=RESULTS_MAY_TAKE_MS))


if __name__ == "__main__":
    play(DramatiqPeer())
