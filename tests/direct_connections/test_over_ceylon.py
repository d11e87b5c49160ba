"""Wires beside real Ceylon on loopback; each wait is for a condition, with a deadline."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
from muster.agents import Handlers, TaskManager, WorkerAgent
from muster.agents.transport.ceylon_agent import CeylonAgent
from muster.agents.transport.direct_connection import DirectConnection
from muster.agents.transport.endpoint import Endpoint
from muster.messages import Task

pytestmark = pytest.mark.ceylon

DEADLINE_S = 60.0
handlers = Handlers()


@handlers.task("double")
async def double(task: Task) -> int:
    return int(task.data) * 2


@contextlib.asynccontextmanager
async def running(manager: TaskManager, workers: Sequence[WorkerAgent]) -> AsyncIterator[None]:
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
            await asyncio.sleep(0.01)

    await asyncio.wait_for(look(), DEADLINE_S)


def connections_of(manager: TaskManager) -> dict[str, DirectConnection]:
    """The direct connections of a manager, by the names of the workers."""
    router = manager._shell._router
    assert router is not None
    lanes: list[Endpoint] = list(router._lanes.values())
    names = {each.worker_id: each.name for each in manager.board.workers.values()}
    return {
        names[peer]: connection
        for endpoint in lanes
        for peer, connection in endpoint._direct_connections.items()
    }


def make(count: int, first: int = 1) -> list[Task]:
    return [
        Task(id=number, description="double it", type="double", data=number)
        for number in range(first, first + count)
    ]


async def results_of(manager: TaskManager, tasks: Sequence[Task]) -> list[object]:
    await wait_until(lambda: all(manager.get_task_result(task.id) for task in tasks))
    results = [manager.get_task_result(task.id) for task in tasks]
    return [result.output for result in results if result is not None]


@pytest.fixture
def by_ceylon(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How long the frames were that went by Ceylon."""
    sent: list[int] = []
    send = CeylonAgent.send

    async def note(self: CeylonAgent, frame: bytes, to: str | None = None) -> None:
        sent.append(len(frame))
        await send(self, frame, to)

    monkeypatch.setattr(CeylonAgent, "send", note)
    return sent


@pytest.mark.parametrize("insecure", [False, True], ids=["sealed", "insecure"])
async def test_tasks_go_by_direct_connection_once_there_is_one(
    insecure: bool, by_ceylon: list[int]
) -> None:
    manager = TaskManager(port=0, quiet=True, insecure=insecure)
    workers = [
        WorkerAgent(name, 5, ticket=manager.ticket(), handlers=handlers, insecure=insecure)
        for name in ("Ada", "Bob")
    ]
    async with running(manager, workers):
        await wait_until(
            lambda: manager._shell._router is not None and len(connections_of(manager)) == 2
        )
        by_ceylon.clear()
        tasks = make(500)
        manager._shell.driver.add_tasks(tasks)
        assert await results_of(manager, tasks) == [2 * task.id for task in tasks]
        # Heartbeats and what else is for everyone.
        assert sum(by_ceylon) < 2_000


async def test_without_direct_connections_all_goes_by_ceylon(by_ceylon: list[int]) -> None:
    manager = TaskManager(port=0, quiet=True, direct_connections=False)
    worker = WorkerAgent("Ada", 5, ticket=manager.ticket(), handlers=handlers)
    async with running(manager, [worker]):
        await wait_until(lambda: manager.board.workers.keys() == {"Ada"})
        tasks = make(300)
        manager._shell.driver.add_tasks(tasks)
        assert await results_of(manager, tasks) == [2 * task.id for task in tasks]
        assert connections_of(manager) == {}
        assert sum(by_ceylon) > 2_000


async def test_a_direct_connection_that_is_cut_loses_nothing_and_another_takes_its_place() -> None:
    manager = TaskManager(port=0, quiet=True)
    worker = WorkerAgent("Ada", 5, ticket=manager.ticket(), handlers=handlers, slots=4)
    async with running(manager, [worker]):
        await wait_until(
            lambda: "Ada" in manager.board.workers and "Ada" in connections_of(manager)
        )
        first = connections_of(manager)["Ada"]
        tasks = make(2_000)
        manager._shell.driver.add_tasks(tasks)
        await wait_until(lambda: manager.get_task_result(200) is not None)
        first.close()
        assert await results_of(manager, tasks) == [2 * task.id for task in tasks]
        assert all(record.attempt == 1 for record in manager.board.tasks.values())
        await wait_until(lambda: connections_of(manager).get("Ada") not in (None, first))
        more = make(10, first=5_000)
        manager._shell.driver.add_tasks(more)
        assert await results_of(manager, more) == [2 * task.id for task in more]


async def test_a_direct_connection_that_swallows_everything_is_found_out() -> None:
    manager = TaskManager(port=0, quiet=True)
    worker = WorkerAgent("Ada", 5, ticket=manager.ticket(), handlers=handlers, slots=4)
    async with running(manager, [worker]):
        await wait_until(
            lambda: "Ada" in manager.board.workers and "Ada" in connections_of(manager)
        )
        for connection in (
            connections_of(manager)["Ada"],
            *worker._shell._manager_session.endpoint._direct_connections.values(),
        ):
            connection._writer.transport.pause_reading()
        tasks = make(50)
        manager._shell.driver.add_tasks(tasks)
        assert await results_of(manager, tasks) == [2 * task.id for task in tasks]
        assert all(record.attempt == 1 for record in manager.board.tasks.values())


async def test_workers_that_start_with_their_manager_have_direct_connections() -> None:
    may_end = asyncio.Event()
    patient = Handlers()

    @patient.task("wait")
    async def wait(task: Task) -> None:
        await may_end.wait()

    tasks = [Task(id=number, description="wait", type="wait") for number in (1, 2)]
    manager = TaskManager(tasks, expected_workers=2, port=0, quiet=True)
    workers = [
        WorkerAgent(name, 5, admin_peer=manager.details().id, handlers=patient)
        for name in ("Ada", "Bob")
    ]
    managing = asyncio.ensure_future(manager.start_agent(b"", workers))
    await wait_until(
        lambda: (
            manager._shell._router is not None and connections_of(manager).keys() == {"Ada", "Bob"}
        )
    )
    may_end.set()
    await asyncio.wait_for(managing, DEADLINE_S)
    assert manager.report().success_rate == 1.0


async def test_what_a_worker_is_first_sent_by_an_early_direct_connection_is_not_lost() -> None:
    tasks = [Task(id=number, description="Sort leaves", difficulty=1) for number in range(1, 9)]
    for _ in range(3):
        manager = TaskManager(tasks, expected_workers=2, port=0, quiet=True, time_scale=0.01)
        workers = [
            WorkerAgent(name, 5, admin_peer=manager.details().id, time_scale=0.01)
            for name in ("Ada", "Bob")
        ]
        await asyncio.wait_for(manager.start_agent(b"", workers), DEADLINE_S)
        assert [record.attempt for record in manager.board.tasks.values()] == [1] * 8
        assert manager.report().success_rate == 1.0
