"""Who shares the NATS server with a run, but not its secret, reads and changes nothing."""

from __future__ import annotations

import asyncio
import secrets

import nats
import pytest
from muster.agents import Handlers, TaskManager, WorkerAgent
from muster.agents.transport.nats_circuits import DATA_MAGIC, OPEN_MAGIC
from muster.agents.transport.nats_link import PIECE_MAGIC
from muster.messages import Task
from nats.aio.client import Client as Stranger
from nats.aio.msg import Msg

from ..nats_server import NatsServer

pytestmark = [pytest.mark.nats, pytest.mark.slow]

DEADLINE_S = 90.0
SPOKEN = "the launch code is 0000"

handlers = Handlers()


@handlers.task("echo")
async def echo(task: Task) -> str:
    await asyncio.sleep(0.01)
    return task.data


def rubbish(recorded: list[Msg]) -> list[bytes]:
    """Messages of each kind that a link knows, none of them sealed."""
    noise = secrets.token_bytes
    frames = [each.data for each in recorded if each.data.startswith(b"N.")]
    circuits = [each.data[2:18] for each in recorded if each.data.startswith(DATA_MAGIC)]
    return [
        *(b"", noise(2), noise(5000), b"N.", b"N.\3\1" + noise(80)),
        *(frame[:-1] + noise(1) for frame in frames[-20:]),
        *(OPEN_MAGIC + noise(16) + b"abcdef" for _ in range(50)),
        *(PIECE_MAGIC + noise(8) + b"\0\0\0\0\0\0\0\2" + noise(4000) for _ in range(20)),
        *(DATA_MAGIC + circuit + noise(50) for circuit in circuits[-2:]),
        *(DATA_MAGIC + circuit for circuit in circuits[-2:]),
    ]


async def pester(stranger: Stranger, recorded: list[Msg]) -> None:
    """Say again what was heard, and rubbish, to everyone, for as long as the run goes on."""
    while True:
        heard = recorded[-200:]
        for message in heard:
            await stranger.publish(message.subject, message.data)
        for subject in {message.subject for message in heard}:
            for content in rubbish(heard):
                await stranger.publish(subject, content)
        await stranger.flush()
        await asyncio.sleep(0.05)


async def test_a_stranger_on_the_server_reads_nothing_and_changes_nothing(
    nats_server: NatsServer,
) -> None:
    run = secrets.token_hex(8)
    stranger = await nats.connect(nats_server.url)
    recorded: list[Msg] = []

    async def record(message: Msg) -> None:
        recorded.append(message)
        del recorded[:-5_000]

    await stranger.subscribe(f"muster.{run}.>", cb=record)
    async with TaskManager(link=nats_server.url, workspace_id=run, quiet=True) as manager:
        ticket = manager.ticket()
        workers = [WorkerAgent(name, 5, handlers=handlers, ticket=ticket) for name in "AB"]
        for worker in workers:
            await worker.start()
        pestering = asyncio.ensure_future(pester(stranger, recorded))
        tasks = [manager.submit(Task(type="echo", data=f"{SPOKEN} {n}")) for n in range(60)]
        results = await asyncio.wait_for(asyncio.gather(*tasks), DEADLINE_S)
        assert not pestering.done()
        pestering.cancel()
        assert [result.output for result in results] == [f"{SPOKEN} {n}" for n in range(60)]
        assert {each.name for each in await manager.get_connected_agents()} == {"A", "B"}
        assert all(len(record.attempts) == 1 for record in manager.board.tasks.values())
        # Each kind of rubbish was noticed, and counted by kind.
        assert {"replayed", "garbage"} <= set(manager.dropped)
        for worker in workers:
            await worker.stop()
    await stranger.close()
    assert recorded
    assert not any(SPOKEN.encode() in each.data or b"echo" in each.data for each in recorded)
