"""Lanes over real Ceylon on loopback; each wait is for a condition, with a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from muster.agents import Handlers, TaskManager, WorkerAgent
from muster.agents.kernel import lanes
from muster.agents.kernel.delivery import manager_presence
from muster.agents.kernel.lanes import FIRST_LANE
from muster.agents.runtime.ports import claim_port
from muster.agents.transport import connection_request, discovery, lane_manager
from muster.agents.transport.ceylon_api import on
from muster.messages import Task
from pydantic import BaseModel

pytestmark = pytest.mark.ceylon

DEADLINE_S = 180.0


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody in this process is sent elsewhere because a busy machine makes it slow."""
    for module, name in (
        (discovery, "CONNECT_TIMEOUT_S"),
        (connection_request, "GREETING_TIMEOUT_S"),
        (connection_request, "ANSWER_TIMEOUT_S"),
        (lane_manager, "OPENING_TIMEOUT_S"),
        (lanes, "PLACE_RESERVED_S"),
        (manager_presence, "JOIN_TIMEOUT_S"),
    ):
        monkeypatch.setattr(module, name, 20.0)


class Word(BaseModel):
    """What workers say to one another."""

    text: str


class Talker(WorkerAgent):
    """A worker that notes what others say."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, 5, time_scale=0.01, **options)
        self.heard: list[str] = []

    @on(Word)
    async def on_word(self, data: Word) -> None:
        self.heard.append(data.text)


@contextlib.asynccontextmanager
async def running(manager: TaskManager, workers: Sequence[WorkerAgent]) -> AsyncIterator[None]:
    """Run a manager and its workers in this process; the workers find their way by themselves."""
    await manager.start()
    working = [asyncio.ensure_future(worker.start_agent()) for worker in workers]
    try:
        yield
    finally:
        await manager.stop()
        await asyncio.wait_for(asyncio.gather(*working), DEADLINE_S)


async def wait_until(happens: Callable[[], bool]) -> None:
    async def look() -> None:
        while not happens():
            await asyncio.sleep(0.02)

    await asyncio.wait_for(look(), DEADLINE_S)


def lanes_of(manager: TaskManager) -> dict[str, int]:
    return manager._shell.workers_by_lane()


def members(manager: TaskManager) -> dict[int, int]:
    return dict(sorted(Counter(lanes_of(manager).values()).items()))


async def test_twelve_workers_have_three_lanes_and_do_their_tasks() -> None:
    tasks = [Task(id=number, description="work", difficulty=2) for number in range(1, 61)]
    manager = TaskManager(tasks, port=0, time_scale=0.01, quiet=True)
    ticket = manager.ticket()
    workers = [Talker(f"worker {number}", ticket=ticket) for number in range(12)]
    appeared: set[str] = set()

    @manager.on_connect("*")
    async def note(topic: str, agent: Any) -> None:
        assert topic == manager.workspace_id
        appeared.add(agent.name)

    async with running(manager, workers):
        await wait_until(lambda: len(lanes_of(manager)) == 12)
        assert members(manager) == {FIRST_LANE: 4, 1: 4, 2: 4}
        await wait_until(lambda: manager.report().counts.get("completed") == 60)
        await wait_until(lambda: appeared >= {worker.name for worker in workers})
        assert len({worker.port for worker in workers}) == 3
        # Whoever speaks to all is heard on all lanes, and so is who speaks to one of another lane.
        await workers[0].broadcast_message(Word(text="to all"))
        far = next(each for each in workers if each.port != workers[0].port)
        await far.send_message(workers[0].address, Word(text="to you"))
        await manager.send_message(far.address, Word(text="from the manager"))
        await wait_until(
            lambda: (
                all("to all" in worker.heard for worker in workers[1:])
                and "to you" in workers[0].heard
                and "from the manager" in far.heard
            )
        )
        found = {agent.name for agent in await manager.get_connected_agents()}
        assert {worker.name for worker in workers} <= found
    assert manager.report().success_rate == 1.0
    # It has no handler for what they said to all.
    assert manager.dropped == {"unknown_kind": 1}
    assert [worker.get_worker_status() for worker in workers] == ["Stopped"] * 12


@pytest.mark.slow
async def test_large_data_reaches_and_leaves_workers_of_all_lanes() -> None:
    tasks = [
        Task(id=number, description="echo", type="echo", data=bytes([number]) * 50_000)
        for number in range(1, 25)
    ]
    handlers = Handlers()

    @handlers.task("echo")
    async def echo(task: Task) -> bytes:
        await asyncio.sleep(0.02)
        return task.data

    manager = TaskManager(tasks, 8, port=0, quiet=True, blob_threshold_bytes=10_000)
    ticket = manager.ticket()
    workers = [Talker(f"worker {number}", ticket=ticket, handlers=handlers) for number in range(8)]
    async with running(manager, workers):
        await wait_until(lambda: manager.report().counts.get("completed") == 24)
        assert members(manager) == {FIRST_LANE: 4, 1: 4}
        # None had it in frames because it could not open blobs.
        reach = manager._shell._outgoing.offload._reach
        assert [reached.result() for reached in reach.values()] == [True] * 8
    done = manager.report().tasks
    assert {task.worker for task in done} == {worker.name for worker in workers}
    assert [manager.board.tasks[task.id].result.output for task in tasks] == [
        task.data for task in tasks
    ]


async def test_the_workers_of_one_lane_stay_at_discovery() -> None:
    manager = TaskManager([], port=0, quiet=True)
    workers = [Talker(f"worker {number}", ticket=manager.ticket()) for number in range(4)]
    async with running(manager, workers):
        await wait_until(lambda: len(lanes_of(manager)) == 4)
        assert members(manager) == {FIRST_LANE: 4}
        assert {worker.port for worker in workers} == {manager.port}


async def test_lanes_are_on_the_ports_that_they_were_given() -> None:
    ports = [claim_port() for _ in range(2)]
    manager = TaskManager([], 6, port=0, quiet=True, lane_ports=ports)
    workers = [Talker(f"worker {number}", ticket=manager.ticket()) for number in range(6)]
    async with running(manager, workers):
        await wait_until(lambda: len(lanes_of(manager)) == 6)
        assert {worker.port for worker in workers} == {manager.port, ports[0]}


async def test_where_no_lane_can_be_opened_all_go_to_discovery() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", 0))
        manager = TaskManager([], port=0, quiet=True, lane_ports=[taken.getsockname()[1]])
        workers = [Talker(f"worker {number}", ticket=manager.ticket()) for number in range(6)]
        async with running(manager, workers):
            await wait_until(lambda: len(lanes_of(manager)) == 6)
            assert members(manager) == {FIRST_LANE: 6}


async def test_a_lane_that_takes_its_time_to_answer_is_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers_probe = lane_manager.answers_probe

    async def answers_late(host: str, port: int, timeout_s: float) -> bool:
        return timeout_s > 0.3 and await answers_probe(host, port, timeout_s)

    monkeypatch.setattr(lane_manager, "answers_probe", answers_late)
    monkeypatch.setattr(lane_manager, "OPENING_TIMEOUT_S", 5.0)
    manager = TaskManager([], port=0, quiet=True)
    workers = [Talker(f"worker {number}", ticket=manager.ticket()) for number in range(6)]
    async with running(manager, workers):
        await wait_until(lambda: len(lanes_of(manager)) == 6)
        assert members(manager) == {FIRST_LANE: 4, 1: 2}


async def test_where_discovery_can_not_be_asked_all_go_to_it() -> None:
    manager = TaskManager([], port=0, quiet=True)
    ticket = manager.ticket()
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", ticket.port))
        workers = [Talker(f"worker {number}", ticket=ticket) for number in range(6)]
        async with running(manager, workers):
            await wait_until(lambda: len(lanes_of(manager)) == 6)
            assert members(manager) == {FIRST_LANE: 6}


@pytest.mark.slow
async def test_a_worker_that_stops_makes_room_in_its_lane() -> None:
    manager = TaskManager([], port=0, quiet=True)
    ticket = manager.ticket()
    workers = [Talker(f"worker {number}", ticket=ticket) for number in range(6)]
    async with running(manager, workers):
        await wait_until(lambda: len(lanes_of(manager)) == 6)
        leaving = next(each for each in workers if each.port == manager.port)
        await leaving.stop()
        await wait_until(lambda: len(lanes_of(manager)) == 5)
        late = Talker("late", ticket=ticket)
        working = asyncio.ensure_future(late.start_agent())
        # The other lane has fewer members.
        await wait_until(lambda: "late" in lanes_of(manager))
        assert members(manager) == {FIRST_LANE: 3, 1: 3}
    await asyncio.wait_for(working, DEADLINE_S)


@pytest.mark.slow
@pytest.mark.parametrize("direct_connections", [True, False], ids=["wires", "no wires"])
async def test_a_lane_that_breaks_down_is_given_up_and_its_workers_find_others(
    direct_connections: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Here whoever is slow to join is to try elsewhere.
    monkeypatch.setattr(manager_presence, "JOIN_TIMEOUT_S", 5.0)
    manager = TaskManager(
        [], port=0, quiet=True, lost_after_s=2.0, direct_connections=direct_connections
    )
    workers = [Talker(f"worker {number}", ticket=manager.ticket()) for number in range(8)]
    async with running(manager, workers):
        await wait_until(lambda: len(lanes_of(manager)) == 8)
        keeper = manager._lane_manager
        assert keeper is not None
        # As when it panics in there: nobody is told.
        keeper._agents[1].close()
        await wait_until(lambda: 1 not in members(manager) and len(lanes_of(manager)) == 8)
        for _ in range(30):
            await asyncio.sleep(0.1)
            assert 1 not in members(manager)
        # On a busy machine one of them may have been missed for a moment.
        await wait_until(lambda: len(lanes_of(manager)) == 8)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_lanes_that_nobody_is_in_are_closed_and_give_back_what_they_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lanes, "CLOSED_AFTER_S", 0.5)
    monkeypatch.setattr(lanes, "PLACE_RESERVED_S", 5.0)
    manager = TaskManager([], port=0, quiet=True)
    ticket = manager.ticket()
    async with running(manager, []):
        keeper = manager._lane_manager
        assert keeper is not None
        before = await settled()
        used: set[int] = {FIRST_LANE}
        for turn in range(2):
            # In a process of their own: workers that leave do not give all of theirs back.
            workers = worker_process(f"turn-{turn}", 6, str(ticket))
            try:
                await wait_until(lambda: len(lanes_of(manager)) == 6)
                opened = set(members(manager)) - {FIRST_LANE}
                assert opened
                assert opened.isdisjoint(used)
                used |= opened
                assert descriptors() > before[0]
            finally:
                workers.terminate()
                await wait_until(lambda workers=workers: workers.poll() is not None)
            await wait_until(lambda: not keeper._agents and not keeper._running)
            # Lane 0 is never closed, and its workers may be missed later than those of lane 1.
            await wait_until(lambda: not lanes_of(manager))
        await wait_until(lambda: [descriptors(), threads()] <= before)


async def settled() -> list[int]:
    """The descriptors and threads of this process, once they have been the same for a second."""
    read, same = [descriptors(), threads()], 0
    while same < 20:
        await asyncio.sleep(0.05)
        last, read = read, [descriptors(), threads()]
        same = same + 1 if read == last else 0
    return read


def worker_process(name: str, agents: int, ticket: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "muster.agents.command", "worker", "--join", "-"]
    process = subprocess.Popen(
        [*command, "--name", name, "--skill", "5", "--agents", str(agents)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    with process.stdin as told:
        told.write(ticket.encode())
    return process


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def threads() -> int:
    return len(os.listdir("/proc/self/task"))
