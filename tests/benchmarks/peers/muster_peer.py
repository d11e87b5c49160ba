"""Muster, as it comes: sealed frames, two worker processes, 64 slots each."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from muster.agents.worker_pool.fork_server import ForkServer

NURSERY = ForkServer()
"""Loads beside the imports that follow."""

from muster.agents import MemoryStore  # noqa: E402
from muster.agents.bench.tasks import ECHO, NOTHING  # noqa: E402
from muster.agents.bench.workers import BenchPlan, BenchWorkers  # noqa: E402
from muster.agents.runtime.garbage import collect_garbage_less_often  # noqa: E402
from muster.agents.store.jet_stream import JetStreamStore  # noqa: E402
from muster.agents.store.protocol import Store  # noqa: E402
from peer import play  # noqa: E402

STORE_VARIABLE = "MUSTER_COMPARE_STORE"
"""Whether the run is kept in "memory", "sqlite" or "jetstream"; not at all if it is not set."""

KIND = os.environ.get(STORE_VARIABLE)
SERVER = os.environ.get("MUSTER_COMPARE_NATS", "")
"""The URL of a NATS server, if there is one: for the link, or for the store."""

LINK = SERVER if SERVER and KIND != "jetstream" else "ceylon"


class MusterPeer:
    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()

    async def start(self) -> None:
        # As the command `muster` does.
        collect_garbage_less_often()
        self._crew = BenchWorkers(BenchPlan(workers=2, store=self._store(), link=LINK), NURSERY)
        await self._crew.start()

    def _store(self) -> Store | Path | None:
        match KIND:
            case "memory":
                return MemoryStore()
            case "sqlite":
                return Path(self._folder.name, "run.db")
            case "jetstream":
                return JetStreamStore(f"{SERVER}/compared")
            case _:
                return None

    async def run_many(self, arguments: Sequence[dict[str, int]]) -> list[int]:
        tasks = (self._crew.new_task(NOTHING, argument) for argument in arguments)
        return await self._crew.run(tasks, len(arguments))

    async def run_one(self, argument: dict[str, int]) -> int:
        return await self._crew.run_one(self._crew.new_task(NOTHING, argument))

    async def echo_many(self, payloads: Sequence[bytes]) -> list[bytes]:
        tasks = (self._crew.new_task(ECHO, payload) for payload in payloads)
        return await self._crew.run(tasks, len(payloads))

    async def stop(self) -> None:
        await self._crew.end()
        NURSERY.close()
        self._folder.cleanup()


if __name__ == "__main__":
    play(MusterPeer())
