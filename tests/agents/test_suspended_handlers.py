"""A handler that waits gives back its slot, and has one again before it goes on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from muster.agents import TaskContext, TaskManager, WorkerAgent, rehearse, run_in_virtual_time
from muster.agents.execution import handler_waiting
from muster.agents.execution.handler_waiting import HandlerCall
from muster.messages import Task


class Gate:
    """What the handlers wait for, and how many of them work at the same time."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.working = self.most_working = 0

    @contextlib.contextmanager
    def work(self) -> Any:
        self.working += 1
        self.most_working = max(self.most_working, self.working)
        yield
        self.working -= 1


def play(worker: WorkerAgent, tasks: list[Task], direct: Callable[..., Any] | None = None) -> Any:
    """The board at the end of a run of the tasks."""
    manager = TaskManager(tasks, 1, quiet=True, prefetch_s=0.0)

    async def run() -> None:
        directing = asyncio.ensure_future(direct(manager)) if direct else None
        await rehearse(manager, [worker])
        if directing is not None:
            await directing

    run_in_virtual_time(run())
    return manager.board


def outputs(board: Any) -> dict[Any, Any]:
    return {each.task_id: each.output for each in board.results}


@pytest.mark.parametrize("slots", [1, 2])
def test_other_tasks_run_in_the_slot_and_never_more_than_there_are_slots(slots: int) -> None:
    gate = Gate()
    worker = WorkerAgent("Ada", 5, slots=slots)

    @worker.task("wait")
    async def wait(task: Task, context: TaskContext) -> str:
        with gate.work():
            await asyncio.sleep(1.0)
        async with context.waiting("waits for the door"):
            await gate.opened.wait()
        with gate.work():
            await asyncio.sleep(1.0)
        return "went on"

    @worker.task("open")
    async def open_door(task: Task) -> str:
        with gate.work():
            await asyncio.sleep(1.0)
            gate.opened.set()
            await asyncio.sleep(1.0)
        return "opened"

    waiting = [Task(id=number, type="wait") for number in range(1, 6)]
    board = play(worker, [*waiting, Task(id=6, type="open"), Task(id=7, type="open")])
    assert set(outputs(board).values()) == {"went on", "opened"}
    assert gate.most_working == slots
    took = {each.task_id: each.execution_time for each in board.results}
    # The time in which it waited does not count.
    assert took[1] == pytest.approx(2.0, abs=0.01)


def test_who_goes_on_comes_before_who_has_not_begun() -> None:
    gate, begun = Gate(), []
    worker = WorkerAgent("Ada", 5)

    @worker.task("wait")
    async def wait(task: Task, context: TaskContext) -> None:
        async with context.waiting("waits for the door"):
            await gate.opened.wait()
        begun.append("goes on")

    @worker.task("other")
    async def other(task: Task) -> None:
        begun.append(task.id)
        await asyncio.sleep(1.0)
        gate.opened.set()
        await asyncio.sleep(1.0)

    play(worker, [Task(id=1, type="wait"), *(Task(id=n, type="other") for n in range(2, 6))])
    assert begun == [2, "goes on", 3, 4, 5]


def test_several_waits_at_once_hold_no_slot_until_one_is_over_that_works() -> None:
    """As with `asyncio.gather`: each wait is an asyncio task of its own."""
    worker, doors = WorkerAgent("Ada", 5), [asyncio.Event() for _ in range(3)]
    seen: list[str] = []

    @worker.task("wait")
    async def wait(task: Task, context: TaskContext) -> None:
        async def one(number: int) -> None:
            async with context.waiting("waits for a subtask"):
                await doors[number].wait()
            seen.append(f"works {number}")
            await asyncio.sleep(1.0)
            seen.append(f"worked {number}")

        await asyncio.gather(*map(one, range(3)))

    @worker.task("open")
    async def open_door(task: Task) -> None:
        seen.append(f"opens {task.data}")
        doors[task.data].set()
        await asyncio.sleep(0.5)

    tasks = [Task(id=1, type="wait")]
    board = play(worker, [*tasks, *(Task(id=2 + n, type="open", data=n) for n in range(3))])
    assert all(each.success for each in board.results)
    expected = [[f"opens {n}", f"works {n}", f"worked {n}"] for n in range(3)]
    assert seen == [each for group in expected for each in group]


def test_a_suspended_handler_that_is_cancelled_cleans_up_in_a_slot() -> None:
    worker, seen = WorkerAgent("Ada", 5), []

    @worker.task("wait")
    async def wait(task: Task, context: TaskContext) -> None:
        try:
            async with context.waiting("waits for what never comes"):
                await asyncio.Event().wait()
        finally:
            seen.append("cleans up")
            await asyncio.sleep(1.0)
            seen.append("is clean")

    @worker.task("other")
    async def other(task: Task) -> None:
        seen.append(f"begins {task.id}")
        await asyncio.sleep(5.0)
        seen.append(f"ends {task.id}")

    async def direct(manager: TaskManager) -> None:
        await asyncio.sleep(2.0)
        assert manager.board.find(1).suspended_for == "waits for what never comes"
        manager.cancel_task(1)

    tasks = [Task(id=1, type="wait"), Task(id=2, type="other"), Task(id=3, type="other")]
    board = play(worker, tasks, direct)
    assert board.find(1).error_message == "cancelled: by the user"
    assert seen == ["begins 2", "ends 2", "cleans up", "is clean", "begins 3", "ends 3"]


def test_a_suspended_handler_ends_with_its_worker() -> None:
    worker, seen = WorkerAgent("Ada", 5), []

    @worker.task("wait")
    async def wait(task: Task, context: TaskContext) -> None:
        try:
            async with context.waiting("waits for what never comes"):
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("ended")
            raise

    async def direct(manager: TaskManager) -> None:
        await asyncio.sleep(2.0)
        manager._shell.end("enough")

    play(worker, [Task(id=1, type="wait")], direct)
    assert seen == ["ended"]


def test_a_handler_without_a_worker_just_waits() -> None:
    worker = WorkerAgent("Ada", 5)

    @worker.task("wait")
    async def wait(task: Task, context: TaskContext) -> str:
        async with context.waiting("waits for a moment"):
            await asyncio.sleep(1.0)
        return "went on"

    result = run_in_virtual_time(worker.execute_task(Task(id=1, type="wait")))
    assert result.output == "went on"


def test_so_many_attempts_may_wait_at_one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handler_waiting, "MAX_SUSPENDED", 3)
    worker, gate = WorkerAgent("Ada", 5), Gate()

    @worker.task("wait")
    async def wait(task: Task, context: TaskContext) -> None:
        async with context.waiting("waits for the door"):
            await gate.opened.wait()

    @worker.task("open")
    async def open_door(task: Task) -> None:
        gate.opened.set()

    waiting = [Task(id=number, type="wait") for number in range(1, 6)]
    board = play(worker, [*waiting, Task(id=6, type="open")])
    errors = [each.error_message for each in board.results if not each.success]
    assert len(errors) == 2
    assert errors[0].startswith("BacklogFull: 3 attempts wait at this worker already")


# ------------------------------------------------------------------ in threads


def in_real_time(worker: WorkerAgent, tasks: list[Task], direct: Any = None) -> Any:
    manager = TaskManager(tasks, 1, quiet=True, prefetch_s=0.0)

    async def run() -> None:
        directing = asyncio.ensure_future(direct(manager)) if direct else None
        await asyncio.wait_for(rehearse(manager, [worker]), 60)
        if directing is not None:
            await directing

    asyncio.run(run())
    return manager.board


def waiting_in_threads(worker: WorkerAgent) -> None:
    """Five handlers wait in threads for one that needs a slot and a thread, too."""
    opened = asyncio.Event()

    @worker.task("wait")
    def wait(task: Task, context: TaskContext) -> str:
        async def for_door() -> str:
            async with context.waiting("waits for the door"):
                await opened.wait()
            return "went on"

        return HandlerCall(context, for_door).result()

    @worker.task("open")
    def open_door(task: Task, context: TaskContext) -> str:
        context._loop.call_soon_threadsafe(opened.set)
        return "opened"


WAITERS = [Task(id=number, type="wait") for number in range(1, 6)]


def test_handlers_in_threads_wait_without_slots_and_other_threads_take_over() -> None:
    worker = WorkerAgent("Ada", 5)
    waiting_in_threads(worker)
    board = in_real_time(worker, [*WAITERS, Task(id=6, type="open")])
    assert set(outputs(board).values()) == {"went on", "opened"}


def test_a_handler_that_waits_in_a_thread_can_be_cancelled() -> None:
    worker = WorkerAgent("Ada", 5)
    waiting_in_threads(worker)

    async def direct(manager: TaskManager) -> None:
        while not manager.board.find(1).suspended_for:
            await asyncio.sleep(0.01)
        manager.cancel_task(1)

    board = in_real_time(worker, [Task(id=1, type="wait")], direct)
    assert board.find(1).error_message == "cancelled: by the user"


def test_a_wait_in_a_thread_has_a_limit() -> None:
    worker = WorkerAgent("Ada", 5)

    @worker.task("wait")
    def wait(task: Task, context: TaskContext) -> str:
        async def for_nothing() -> str:
            async with context.waiting("waits for nothing"):
                await asyncio.Event().wait()
            return "never"

        return HandlerCall(context, for_nothing).result(0.01)

    board = in_real_time(worker, [Task(id=1, type="wait")])
    assert board.find(1).error_message == "TimeoutError: no result within 0.01 s"


@pytest.mark.parametrize("kind", ["pool", "loop"])
def test_where_a_wait_would_block_others_it_is_refused(kind: str) -> None:
    executor = ThreadPoolExecutor(1)
    worker = WorkerAgent("Ada", 5, executor=executor if kind == "pool" else None)
    if kind == "pool":
        waiting_in_threads(worker)
        expected = "InvalidInput: this handler waits in a thread of a ThreadPoolExecutor, which"
    else:

        @worker.task("wait")
        async def wait(task: Task, context: TaskContext) -> None:
            async def nothing() -> None:
                pass

            HandlerCall(context, nothing).result()

        expected = "InvalidInput: result() blocks the worker's event loop; write `await`"
    board = in_real_time(worker, [Task(id=1, type="wait")])
    executor.shutdown()
    assert board.find(1).error_message.startswith(expected)
