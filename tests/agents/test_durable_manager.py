"""A manager that keeps its run: nothing is acted upon, or acknowledged, before it is written."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from muster.agents import TaskManager, WorkerAgent
from muster.agents.kernel.board.rows import Rows
from muster.agents.kernel.model.occurrences import OccurrenceKind
from muster.agents.simulation.memory_network import MemoryNetwork, SeededFaults
from muster.agents.simulation.virtual_time import run_in_virtual_time
from muster.agents.store.memory import MemoryStore, SharedRows
from muster.agents.store.sqlite import SqliteStore, read_store
from muster.messages import (
    DifferentTask,
    Heartbeat,
    StoreLost,
    StoreUnusable,
    Task,
    TaskAssignment,
    TaskStatus,
)
from muster.messages.codec import pack_task

DEADLINE_S = 60.0

TASKS = [
    # Faults use up time: with the default of 2 s some would time out.
    Task(id=number, description=f"task {number}", difficulty=1, timeout=60)
    for number in range(1, 21)
]


def manager_of(store: Any, **options: Any) -> TaskManager:
    options = {"expected_workers": 1, "port": 0, "quiet": True, "lost_after_s": 2.0, **options}
    return TaskManager(options.pop("tasks", TASKS), store=store, **options)


class Counting(WorkerAgent):
    """A worker that remembers which attempts it performed."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.performed: list[tuple[Any, int]] = []

    async def handle_task(self, data: TaskAssignment, *given: Any, **named: Any) -> Any:
        self.performed.append((data.task.id, data.attempt))
        return await super().handle_task(data)


async def kill(serving: asyncio.Future[None], memory: SharedRows, link: Any) -> None:
    link.leave()
    memory.release()
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.1)


def test_a_worker_works_on_without_its_manager_and_hands_in_at_the_next_one() -> None:
    memory = SharedRows()
    worker = Counting("Ada", 5, slots=2)

    async def play() -> TaskManager:
        network = MemoryNetwork()
        first = manager_of(MemoryStore(memory))
        link = network.join("boss 1", first.receive)
        managing = asyncio.ensure_future(first.serve_over(link))
        working = asyncio.ensure_future(
            worker.serve_over(network.join("Ada", worker.receive), session="a")
        )
        await until(lambda: len(first.completed_tasks) >= 6)
        # Both slots have just been filled again.
        await asyncio.sleep(0.2)
        await kill(managing, memory, link)
        second = manager_of(MemoryStore(memory))
        await second.serve_over(network.join("boss 2", second.receive))
        await working
        return second

    manager = run_in_virtual_time(play())
    assert manager.report().success_rate == 1.0
    assert sorted(worker.performed) == [(number, 1) for number in range(1, 21)]


@pytest.mark.parametrize("seed", range(4))
def test_managers_killed_over_a_bad_network_lose_and_double_nothing(seed: int) -> None:
    memory = SharedRows()
    told: list[Any] = []

    async def play() -> TaskManager:
        network = MemoryNetwork(faults=SeededFaults(seed, loss=0.1, duplicate=0.1, delay_s=0.05))
        workers = [Counting(name, 5) for name in ("Ada", "Ben")]
        working = [
            asyncio.ensure_future(worker.serve_over(network.join(worker.name, worker.receive)))
            for worker in workers
        ]
        for number in range(1, 4):
            manager = manager_of(MemoryStore(memory))
            manager.watch(lambda each: told.append((each.task_id, each.what)))
            link = network.join(f"boss {number}", manager.receive)
            managing = asyncio.ensure_future(manager.serve_over(link))
            if number < 3:
                await asyncio.sleep(4.3)
                await kill(managing, memory, link)
        await managing
        await asyncio.wait(working, timeout=5.0)
        for future in working:
            future.cancel()
        return manager

    manager = run_in_virtual_time(play())
    assert manager.report().success_rate == 1.0
    completed = [task_id for task_id, what in told if what is OccurrenceKind.TASK_COMPLETED]
    assert sorted(completed) == list(range(1, 21))


class Held(MemoryStore):
    """A store that writes when it is let."""

    waits = True

    def __init__(self) -> None:
        super().__init__()
        self.may_write = threading.Event()
        self.may_write.set()
        self.is_writing = threading.Event()

    def write(self, rows: Rows) -> None:
        self.is_writing.set()
        assert self.may_write.wait(DEADLINE_S)
        super().write(rows)


async def test_nothing_leaves_while_it_is_written() -> None:
    store, network = Held(), MemoryNetwork()
    manager = manager_of(store, tasks=TASKS[:2])
    worker = Counting("Ada", 5, time_scale=0.01)
    sent: list[bytes] = []
    link = network.join("boss", manager.receive)
    send = link.send

    async def watched(frame: bytes, to: str | None = None) -> None:
        sent.append(frame)
        await send(frame, to)

    link.send = watched  # type: ignore[method-assign]
    managing = asyncio.ensure_future(manager.serve_over(link))
    await asyncio.sleep(0.1)
    store.is_writing.clear()
    store.may_write.clear()
    working = asyncio.ensure_future(worker.serve_over(network.join("Ada", worker.receive)))
    # It knows of the worker, and says nothing to it.
    while not store.is_writing.is_set() or "Ada" not in manager.board.workers:
        await asyncio.sleep(0.01)
    before = len(sent)
    await asyncio.sleep(0.2)
    assert len(sent) == before
    assert not worker.performed
    store.may_write.set()
    await asyncio.wait_for(managing, DEADLINE_S)
    await working
    assert worker.performed == [(1, 1), (2, 1)]


class Slow(MemoryStore):
    """A store that takes longer for each write than tasks may take."""

    waits = True

    def write(self, rows: Rows) -> None:
        time.sleep(0.6)
        super().write(rows)


async def test_no_attempt_times_out_while_a_slow_store_keeps_it_from_its_worker() -> None:
    network, tasks = MemoryNetwork(), [Task(id=1, type="dig", timeout=0.4)]
    manager = manager_of(Slow(), tasks=tasks, lost_after_s=20.0)
    worker = WorkerAgent("Ada", 5)
    worker.task("dig")(lambda task: "a hole")
    managing = asyncio.ensure_future(manager.serve_over(network.join("boss", manager.receive)))
    working = asyncio.ensure_future(worker.serve_over(network.join("Ada", worker.receive)))
    await asyncio.wait_for(managing, DEADLINE_S)
    await working
    (result,) = manager.task_results
    assert (result.success, result.error_message) == (True, None)


@pytest.mark.parametrize("told", ["dismissed", "replaced", "answered"])
async def test_a_worker_whose_welcome_is_not_written_yet_does_not_end_the_run(told: str) -> None:
    store, network = Held(), MemoryNetwork()
    manager = manager_of(store, tasks=TASKS[:1])
    worker = Counting("Ada", 5, time_scale=0.01)
    managing = asyncio.ensure_future(manager.serve_over(network.join("boss", manager.receive)))
    await asyncio.sleep(0.1)
    store.is_writing.clear()
    store.may_write.clear()
    working = asyncio.ensure_future(worker.serve_over(network.join("Ada", worker.receive)))
    while not store.is_writing.is_set() or "Ada" not in manager.board.workers:
        await asyncio.sleep(0.01)
    shell = manager._shell
    match told:
        case "dismissed":
            shell._outgoing.dismiss_workers()
        case "replaced":
            shell._outgoing.post_to_workers(Heartbeat())
        case _:
            shell._worker_calls.post("Ada", Heartbeat())
    store.may_write.set()
    await asyncio.wait_for(managing, DEADLINE_S)
    await working
    assert manager.report().success_rate == 1.0


def test_a_task_is_in_the_store_when_adding_it_returns(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    manager = manager_of(path, tasks=[])
    manager.add_task(TASKS[0])
    assert [row.task_id for row in read_store(path).tasks] == [1]
    manager.cancel_task(1)
    assert [row.status for row in read_store(path).tasks] == [TaskStatus.CANCELLED]
    manager.close()


def test_a_task_is_packed_once_though_it_is_kept() -> None:
    packed = [record.packed for record in manager_of(MemoryStore()).board.tasks.values()]
    assert packed == [pack_task(task) for task in TASKS]


def test_the_same_tasks_given_again_are_not_added_twice_and_others_are(tmp_path: Path) -> None:
    path = tmp_path / "run.db"

    async def play(tasks: list[Task]) -> TaskManager:
        network, manager = MemoryNetwork(), manager_of(path, tasks=tasks)
        worker = Counting("Ada", 5)
        working = asyncio.ensure_future(worker.serve_over(network.join("Ada", worker.receive)))
        await manager.serve_over(network.join("boss", manager.receive))
        working.cancel()
        performed.append([task_id for task_id, _ in worker.performed])
        return manager

    performed: list[list[int]] = []
    run_in_virtual_time(play(TASKS[:3]))
    manager = run_in_virtual_time(play(TASKS[:5]))
    assert performed == [[1, 2, 3], [4, 5]]
    assert [result.task_id for result in manager.task_results] == [1, 2, 3, 4, 5]
    again = run_in_virtual_time(play(TASKS[:5]))
    assert performed[2] == []
    assert again.report().success_rate == 1.0


def test_another_task_under_a_known_id_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    manager_of(path).close()
    before = read_store(path)
    other = TASKS[0].model_copy(update={"description": "paint"})
    with pytest.raises(DifferentTask, match="description is 'task 1' in the store and 'paint' now"):
        manager_of(path, tasks=[other])
    assert read_store(path) == before
    # And it is not held.
    SqliteStore(path).close()


async def test_a_store_that_fails_ends_the_run_with_its_error() -> None:
    class Full(MemoryStore):
        is_full = False

        def write(self, rows: Rows) -> None:
            if self.is_full:
                raise StoreUnusable("the disk is full")
            super().write(rows)

    store, network = Full(), MemoryNetwork()
    manager = manager_of(store)
    worker = Counting("Ada", 5, time_scale=0.01)
    working = asyncio.ensure_future(worker.serve_over(network.join("Ada", worker.receive)))
    managing = asyncio.ensure_future(manager.serve_over(network.join("boss", manager.receive)))
    while len(manager.completed_tasks) < 3:
        await asyncio.sleep(0.01)
    store.is_full = True
    with pytest.raises(StoreUnusable, match="the disk is full"):
        await asyncio.wait_for(managing, DEADLINE_S)
    working.cancel()
    # What was told as done is done there, and the rest can be taken up.
    kept = manager_of(MemoryStore(store.memory))
    assert 3 <= len(kept.completed_tasks) < 20


@pytest.mark.parametrize(
    "gone",
    [("",), (".lock",), ("-wal",), ("", "-wal", "-shm"), ("", "-wal", "-shm", ".lock")],
    ids=["database", "lock", "wal", "database_and_sqlites", "all"],
)
async def test_a_store_whose_files_are_deleted_ends_the_run_and_nothing_told_is_lost(
    tmp_path: Path, gone: tuple[str, ...]
) -> None:
    path, network = tmp_path / "run.db", MemoryNetwork()
    manager = manager_of(path)
    worker = Counting("Ada", 5, time_scale=0.01)
    working = asyncio.ensure_future(worker.serve_over(network.join("Ada", worker.receive)))
    managing = asyncio.ensure_future(manager.serve_over(network.join("boss", manager.receive)))
    while len(manager.completed_tasks) < 3:
        await asyncio.sleep(0.01)
    for suffix in gone:
        os.unlink(f"{path}{suffix}")
    with pytest.raises(StoreLost) as lost:
        await asyncio.wait_for(managing, DEADLINE_S)
    told = set(manager.completed_tasks)
    working.cancel()
    assert len(told) >= 3
    kept = manager_of(str(lost.value.copy))
    kept._shell.driver.commit.close()
    assert told <= set(kept.completed_tasks)
    assert len(kept.completed_tasks) < 20


async def test_whoever_tries_a_store_that_ended_the_run_is_told_its_error(tmp_path: Path) -> None:
    path, network = tmp_path / "run.db", MemoryNetwork()
    manager = manager_of(path)
    managing = asyncio.ensure_future(manager.serve_over(network.join("boss", manager.receive)))
    await asyncio.sleep(0.1)
    os.unlink(f"{path}.lock")
    with pytest.raises(StoreLost):
        manager.add_task(Task(id=99, description="one more"))
    with pytest.raises(StoreLost):
        await manager.try_store()
    managing.cancel()
    await asyncio.gather(managing, return_exceptions=True)
    # And also when the store is closed.
    with pytest.raises(StoreLost):
        await manager.try_store()


@pytest.mark.parametrize("ending", ["stop", "end_task_management"])
async def test_a_run_ends_though_its_store_is_gone_when_it_is_told_to(
    tmp_path: Path, ending: str
) -> None:
    path, network = tmp_path / "run.db", MemoryNetwork()
    manager = manager_of(path)
    managing = asyncio.ensure_future(manager.serve_over(network.join("boss", manager.receive)))
    await asyncio.sleep(0.1)
    os.unlink(f"{path}.lock")
    with pytest.raises(StoreLost):
        await getattr(manager, ending)()
    done, _ = await asyncio.wait([managing], timeout=DEADLINE_S)
    assert done == {managing}
    await asyncio.gather(managing, return_exceptions=True)
