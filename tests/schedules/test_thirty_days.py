"""A service of thirty days, whose manager and workers are killed at random."""

from __future__ import annotations

import asyncio
import gc
import random
from collections import Counter, deque
from datetime import datetime, timezone
from typing import Any

import pytest
from muster.agents import (
    Handlers,
    MemoryNetwork,
    RetryLater,
    TaskContext,
    TaskManager,
    WorkerAgent,
)
from muster.agents.kernel.board import task_registry, worker_registry
from muster.agents.kernel.delivery import manager_presence
from muster.agents.kernel.model.schedules import scheduled_id
from muster.agents.manager import options, schedule_runner, stuck_log
from muster.agents.runtime.clock import wall_now
from muster.agents.simulation.crashing_store import CrashingStore, ManagerKilled
from muster.agents.simulation.faults import Crash
from muster.messages import Limit, Retry, Task, TaskId, TaskStatus

from .conftest import CountingRows, play

DAY_S = 86_400.0
DAYS = 30
START = 1_792_800_000.0
"""2026-10-24 00:00 UTC: the clocks in Europe are set back in the first night."""

EVERY_S = 900.0
PARTS = 3
KEEP_S, KEEP = 7_200.0, 20

handlers = Handlers()


RETRY = Retry(max_attempts=5, wait_s=40.0, on=("ConnectionError",))


@handlers.task("measure")
async def measure(task: Task, context: TaskContext) -> int:
    await asyncio.sleep(20.0)
    if context.attempt == 1 and task.data % 10 == 0:
        raise ConnectionError("the line is dead")
    if context.attempt == 1 and task.data % 15 == 7:
        raise RetryLater(after_s=90.0)
    return task.data


@handlers.task("collect")
async def collect(task: Task, context: TaskContext) -> int:
    await asyncio.sleep(5.0)
    parts = int(task.data)
    return sum(await context.map("collect", [0] * parts)) if parts else 1


def make_tasks(due: datetime) -> list[Task]:
    """The tasks of a due time; what is to be tried over thirty days is added here."""
    number = int((due.timestamp() - START) / EVERY_S)
    first = Task(id="first", type="measure", data=number, retry=RETRY)
    if number % 12:
        return [first]
    # Its subtasks have its type, of which one is in progress at a time.
    return [first, Task(id="second", type="collect", data=PARTS, depends_on=("first",))]


LIMITS = (
    Limit("collect", concurrent=1),
    Limit("measure", concurrent=3, rate=10, per_s=1_800.0),
)


def count_objects(manager: TaskManager) -> int:
    """How many objects a manager's own objects and containers lead to, with these themselves."""
    seen: dict[int, object] = {}
    unseen: list[object] = [manager]
    while unseen:
        each = unseen.pop()
        if id(each) not in seen:
            seen[id(each)] = each
            unseen += [found for found in gc.get_referents(each) if _is_followed(found)]
    return len(seen)


def _is_followed(found: object) -> bool:
    kind = type(found)
    is_ours = kind.__module__.startswith("muster.") and not isinstance(found, type | CountingRows)
    return is_ours or kind in {dict, list, set, tuple, deque}


class Months:
    """A manager and a worker, and what kills them."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.network = MemoryNetwork()
        self.memory = CountingRows()
        self.kept: list[int] = []
        self.objects: list[int] = []
        self.starts = 0
        self.manager: TaskManager

    async def run(self) -> None:
        ends_at = START + DAYS * DAY_S
        working = [asyncio.ensure_future(self.work(name)) for name in ("Ada",)]
        while wall_now() < ends_at:
            lasts_s = min(self.chance.expovariate(1 / (DAY_S / 2)), ends_at - wall_now())
            await self.manage(lasts_s)
            await asyncio.sleep(self.chance.uniform(0.0, 3_600.0))
        # The last manager makes what the one before has missed.
        await self.manage(2_500.0)
        for each in working:
            each.cancel()
        await asyncio.gather(*working, return_exceptions=True)

    async def manage(self, lasts_s: float) -> None:
        self.starts += 1
        killed = asyncio.Event()
        link = None

        def kill() -> None:
            killed.set()
            if link is not None:
                link.leave()
            self.memory.release()

        store = CrashingStore(self.memory, kill)
        manager = self.manager = TaskManager(
            port=0,
            quiet=True,
            store=store,
            lost_after_s=960.0,
            unmatched_after_s=None,
            limits=LIMITS,
            keep_results_s=KEEP_S,
            keep_results=KEEP,
        )
        manager.stay()
        manager.schedule(
            "measure", cron="*/15 * * * *", tz="Europe/Berlin", overlap="allow", make=make_tasks
        )
        link = self.network.join(f"boss {self.starts}", manager.receive)
        serving = asyncio.ensure_future(manager.serve_over(link))
        looking = asyncio.ensure_future(self.look(manager))
        await asyncio.sleep(lasts_s)
        crash = self.chance.choice((None, Crash.BEFORE_WRITE, Crash.AFTER_WRITE))
        if crash is not None and not killed.is_set():
            store.crash_at_next_write(crash)
            await killed.wait()
        elif not killed.is_set():
            kill()
        for each in (serving, looking):
            each.cancel()
        for ended in await asyncio.gather(serving, looking, return_exceptions=True):
            assert isinstance(ended, asyncio.CancelledError | ManagerKilled), ended

    async def look(self, manager: TaskManager) -> None:
        """Note each six hours how much the manager keeps."""
        while True:
            await asyncio.sleep(6 * 3_600.0)
            self.kept.append(len(manager.board.tasks) + len(self.memory.read().tasks))
            self.objects.append(count_objects(manager))

    async def work(self, name: str) -> None:
        for start in range(1, 100_000):
            worker = WorkerAgent(name, 5, handlers=handlers, slots=4)
            worker.dials_again = True
            ends_at = wall_now() + self.chance.expovariate(1 / (DAY_S / 4))
            while wall_now() < ends_at and not worker.is_done():
                link = self.network.join(f"{name}#{start}@{wall_now()}", worker.receive)
                serving = asyncio.ensure_future(worker.serve_over(link))
                await asyncio.wait([serving], timeout=max(ends_at - wall_now(), 0.0))
                link.leave()
                serving.cancel()
                await asyncio.gather(serving, return_exceptions=True)
                await asyncio.sleep(1.0)


@pytest.fixture
def slow_beats(monkeypatch: Any) -> None:
    """Everything that happens each second or so in a manager happens every four minutes."""
    monkeypatch.setattr(options, "MAX_HEARTBEAT_S", 240.0)
    monkeypatch.setattr(stuck_log, "CHECK_EVERY_S", 240.0)
    monkeypatch.setattr(schedule_runner, "CHECK_CLOCK_EVERY_S", 240.0)
    monkeypatch.setattr(manager_presence, "SLOWEST_HELLO_S", 240.0)
    monkeypatch.setattr(manager_presence, "LOOK_FOR_TICKET_EVERY_S", 240.0)
    monkeypatch.setattr(manager_presence, "JOIN_TIMEOUT_S", 960.0)
    # These bounds are far above what a manager reaches before it is killed.
    monkeypatch.setattr(task_registry, "MAX_FORGOTTEN_IDS", 50)
    monkeypatch.setattr(worker_registry, "MAX_LOST_KEPT", 5)


@pytest.mark.slow
# A quarter of a minute of the processor alone; others may leave it a tenth of that, or less.
@pytest.mark.timeout(1_800)
@pytest.mark.usefixtures("slow_beats")
def test_in_thirty_days_each_due_time_is_made_once_and_memory_stays_flat() -> None:
    months = Months(seed=30)
    play(months.run, at=START)
    added = months.memory.added
    through = months.manager.board.schedules.by_name["measure"].through
    expected: set[TaskId] = set()
    for number in range(1, int((through - START) / EVERY_S) + 1):
        due = START + number * EVERY_S
        tasks = make_tasks(datetime.fromtimestamp(due, timezone.utc))
        expected.update(scheduled_id("measure", due, each) for each in range(len(tasks)))
    assert through >= START + DAYS * DAY_S
    assert expected <= set(added)
    assert set(added.values()) == {1}
    children = Counter(task_id.rpartition("/")[0] for task_id in set(added) - expected)
    assert set(children) < expected
    assert set(children.values()) == {PARTS}
    board = months.manager.board
    done = {status: board.forgotten[status] + board.counts[status] for status in TaskStatus}
    assert {status for status, count in done.items() if count} == {TaskStatus.COMPLETED}
    assert done[TaskStatus.COMPLETED] == len(added)
    assert months.starts > 20
    assert max(months.kept) <= 2 * KEEP + 50
    # As many objects after thirty days as after the first of them.
    quarter = len(months.objects) // 4
    assert max(months.objects[-quarter:]) <= 1.2 * max(months.objects[:quarter])
