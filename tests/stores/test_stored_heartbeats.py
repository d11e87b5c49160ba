"""A store records when its workers last sent a message, even if nothing else happens."""

from __future__ import annotations

import asyncio

from muster.agents import (
    MemoryNetwork,
    MemoryStore,
    TaskManager,
    WorkerAgent,
    rehearse,
    run_in_virtual_time,
)
from muster.agents.kernel.board.restoration import read_board, read_snapshot
from muster.agents.kernel.board.rows import Rows
from muster.agents.kernel.model.health import Health, health_of
from muster.agents.kernel.model.records import WorkerRecord
from muster.agents.store.memory import SharedRows
from muster.messages import Task
from muster.messages.values import pack_scalars, unpack

HEARTBEAT_S = 2.0


def test_who_reads_a_store_sees_who_is_late_during_a_long_task() -> None:
    memory = SharedRows()
    seen: list[tuple[Health, bool]] = []

    def look() -> None:
        now = asyncio.get_running_loop().time()
        ada: WorkerRecord = read_board(memory.read(), now=now).workers["Ada"]
        seen.append((health_of(ada, now, HEARTBEAT_S), now - ada.last_heard_at < 2.1 * HEARTBEAT_S))

    async def story() -> None:
        network = MemoryNetwork()
        worker = WorkerAgent("Ada", 9)
        manager = TaskManager(
            [Task(task_id=1, difficulty=10)],
            1,
            quiet=True,
            store=MemoryStore(memory),
            lost_after_s=10.0,
        )
        loop = asyncio.get_running_loop()
        for moment in (5.5, 9.5):
            loop.call_later(moment, look)
        await rehearse(manager, [worker], network)

    run_in_virtual_time(story())
    assert seen == [(Health.HEALTHY, True)] * 2


def test_where_nothing_was_heard_nothing_is_written() -> None:
    async def story() -> tuple[int, int]:
        memory = SharedRows()
        store = CountingStore(memory)
        manager = TaskManager(quiet=True, store=store)
        network = MemoryNetwork()
        managing = asyncio.ensure_future(
            manager.serve_over(network.join(manager.name, manager.receive))
        )
        await asyncio.sleep(1)
        before = store.writes
        await asyncio.sleep(60)
        after = store.writes
        await manager.stop()
        await managing
        return before, after

    before, after = run_in_virtual_time(story())
    assert after == before


class CountingStore(MemoryStore):
    """Counts what is written."""

    writes = 0

    def write(self, rows: Rows) -> None:
        """Keep rows, and count it."""
        self.writes += 1
        super().write(rows)


def test_a_store_of_before_health_was_told_can_be_read() -> None:
    memory = SharedRows()

    async def story() -> None:
        manager = TaskManager([Task(task_id=1)], 1, quiet=True, store=MemoryStore(memory))
        await rehearse(manager, [WorkerAgent("Ada", 9)])

    run_in_virtual_time(story())
    rows = memory.read()
    assert rows.run is not None
    (task,) = rows.tasks
    state = unpack(task.state)
    state[8] = [attempt[:7] for attempt in state[8]]
    old = rows._replace(
        run=pack_scalars(unpack(rows.run)[:7]), tasks=(task._replace(state=pack_scalars(state)),)
    )
    snapshot = read_snapshot(old)
    assert (snapshot.heartbeat_s, snapshot.tasks[0].attempts[0].ended_at) == (None, None)
    assert read_snapshot(rows).tasks[0].attempts[0].ended_at is not None
    assert read_board(old, now=0.0).rules.heartbeat_s == HEARTBEAT_S
