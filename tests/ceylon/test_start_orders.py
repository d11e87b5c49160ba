"""Manager and workers come together in whatever order a program makes and starts them.

The program has other agents of Ceylon as well, in a workspace of their own.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ceylon import Admin, Worker
from muster.agents import TaskManager, WorkerAgent
from muster.agents.runtime.ports import claim_port
from muster.messages import Task

pytestmark = pytest.mark.ceylon

DEADLINE_S = 60

Workers = list[WorkerAgent]


def make_manager() -> TaskManager:
    tasks = [Task(id=number, description="carry", difficulty=3) for number in (1, 2, 3, 4)]
    return TaskManager(tasks, expected_workers=2, port=0, quiet=True, time_scale=0.1)


def make_workers(admin_peer: str = "") -> Workers:
    return [WorkerAgent(name, 5, admin_peer=admin_peer, time_scale=0.1) for name in ("Ada", "Ben")]


async def handed_over(manager: TaskManager, workers: Workers) -> None:
    await manager.start_agent(b"", workers)


async def side_by_side(manager: TaskManager, workers: Workers) -> None:
    await asyncio.gather(manager.start_agent(), *(each.start_agent() for each in workers))


async def workers_first(manager: TaskManager, workers: Workers) -> None:
    working = [asyncio.ensure_future(each.start_agent()) for each in workers]
    await asyncio.sleep(0.5)
    await manager.start_agent()
    await asyncio.gather(*working)


async def one_each_way(manager: TaskManager, workers: Workers) -> None:
    alone = asyncio.ensure_future(workers[1].start_agent())
    await manager.start_agent(b"", workers[:1])
    await alone


async def by_ticket(manager: TaskManager, workers: Workers) -> None:
    managing = asyncio.ensure_future(manager.start_agent())
    await asyncio.sleep(0)
    for worker in workers:
        worker.join(manager.ticket())
    await asyncio.gather(managing, *(each.start_agent() for each in workers))


async def as_services(manager: TaskManager, workers: Workers) -> None:
    await manager.start()
    await asyncio.gather(*(each.start() for each in workers))
    while manager.board.unsettled:
        await asyncio.sleep(0.02)
    await manager.stop()
    await asyncio.gather(*(each.stop() for each in workers))


async def with_its_peer_told_late(manager: TaskManager, workers: Workers) -> None:
    for worker in workers:
        worker.admin_peer = manager.details().id
    await side_by_side(manager, workers)


Start = Callable[[TaskManager, Workers], Awaitable[None]]
NEEDS_NO_PEER: list[Start] = [handed_over, by_ticket, with_its_peer_told_late]
STARTS: list[Start] = [*NEEDS_NO_PEER, side_by_side, workers_first, one_each_way, as_services]


def orders() -> Iterator[Any]:
    """When the manager is made, when the workers are, and how all start."""
    made = itertools.product(
        ("before the loop", "in the loop"), ("before the manager", "before the loop", "in the loop")
    )
    for number, ((manager, workers), start) in enumerate(itertools.product(made, STARTS)):
        if workers == "before the manager" and start not in NEEDS_NO_PEER:
            continue
        if workers == "before the loop" and manager == "in the loop":
            continue
        is_quick = (workers, start) in {
            ("before the manager", handed_over),
            ("before the loop", side_by_side),
        }
        is_in_ci = number % 4 == 0
        mark = pytest.mark.slow if is_in_ci else pytest.mark.exhaustive
        marks = [] if is_quick else [mark]
        told = f"manager {manager}, workers {workers}, {start.__name__}"
        yield pytest.param(manager, workers, start, marks=marks, id=told)


@pytest.mark.parametrize(("manager_made", "workers_made", "start"), [*orders()])
def test_all_tasks_are_done(
    manager_made: str,
    workers_made: str,
    start: Start,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    early_workers = make_workers() if workers_made == "before the manager" else None
    early_manager = make_manager() if manager_made == "before the loop" else None
    if workers_made == "before the loop":
        assert early_manager is not None
        early_workers = make_workers(early_manager.details().id)

    async def program() -> TaskManager:
        hub = Admin("other hub", port=claim_port())
        other: Any = {"admin_peer": hub.details().id, "admin_ip": "127.0.0.1", "port": hub.port}
        others = asyncio.ensure_future(hub.start_agent(b"", [Worker("other", **other)]))
        manager = early_manager or make_manager()
        workers = early_workers or make_workers(manager.details().id)
        await start(manager, workers)
        await hub.stop()
        await others
        return manager

    async def within_the_deadline() -> TaskManager:
        return await asyncio.wait_for(program(), DEADLINE_S)

    assert asyncio.run(within_the_deadline()).report().success_rate == 1.0
