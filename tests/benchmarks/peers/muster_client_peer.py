"""Muster over the network: a client here, `muster manager` with two worker processes elsewhere."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from muster.agents import Client
from muster.agents.bench import tasks as tasks_module
from muster.agents.bench.tasks import ECHO, NOTHING
from muster.agents.runtime.garbage import collect_garbage_less_often
from muster.messages import Payload, Task
from peer import play


class MusterClientPeer:
    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()

    async def start(self) -> None:
        # As the command `muster` does.
        collect_garbage_less_often()
        ticket = Path(self._folder.name, "ticket")
        self._manager = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "muster.agents.command", "manager", "--workers", "2:2"),
            *("--slots", "64", "--handlers", tasks_module.__name__),
            *("--port", "0", "--ticket-file", str(ticket)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        while not ticket.exists():  # noqa: ASYNC240 - on local disk
            assert self._manager.returncode is None, "the manager has ended"
            await asyncio.sleep(0.01)
        self._client = Client(ticket)
        await self._client.start()

    async def run_many(self, arguments: Sequence[dict[str, int]]) -> list[int]:
        return await self._outputs_of(NOTHING, arguments)

    async def run_one(self, argument: dict[str, int]) -> int:
        result = await self._client.submit(Task(type=NOTHING, data=argument))
        return result.unwrap()

    async def echo_many(self, payloads: Sequence[bytes]) -> list[bytes]:
        return await self._outputs_of(ECHO, payloads)

    async def _outputs_of(self, task_type: str, data: Sequence[Payload]) -> list[Payload]:
        results = await self._client.gather([Task(type=task_type, data=each) for each in data])
        return [result.unwrap() for result in results]

    async def stop(self) -> None:
        await self._client.stop()
        self._manager.terminate()
        await self._manager.wait()
        self._folder.cleanup()


if __name__ == "__main__":
    play(MusterClientPeer())
