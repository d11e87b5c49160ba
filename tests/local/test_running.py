"""Local tasks run when a slot is free, by priority, and end in one state."""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest
from muster.agents import LocalTask, LocalTaskManager, TaskState, run_in_virtual_time
from muster.messages import InvalidInput, InvalidTask, TaskStatus, UnknownName, UnknownTask


async def nothing(task: LocalTask) -> None:
    del task


def test_states_are_those_of_every_muster_task() -> None:
    assert TaskState is TaskStatus
    names = ["PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"]
    assert len({TaskState[name] for name in names}) == 5


def test_no_more_run_at_once_than_may_and_the_next_begins_the_moment_one_ends() -> None:
    began: list[tuple[str, float]] = []
    at_once: list[int] = []

    async def work(task: LocalTask) -> None:
        loop = asyncio.get_running_loop()
        began.append((task.name, loop.time()))
        at_once.append(len(manager.list_tasks(TaskState.RUNNING)))
        await asyncio.sleep(float(task.name))

    async def main() -> None:
        for seconds in ("3", "5", "1.25", "1"):
            manager.create_task(seconds, work)
        runner = asyncio.create_task(manager.run_tasks())
        await asyncio.sleep(10)
        manager.stop()
        await runner

    manager = LocalTaskManager(max_concurrent_tasks=2)
    run_in_virtual_time(main())
    assert began == [("3", 0.0), ("5", 0.0), ("1.25", 3.0), ("1", 4.25)]
    assert max(at_once) == 2


def test_a_task_created_while_a_place_is_free_starts_before_anything_else_waits() -> None:
    async def main() -> float:
        manager = LocalTaskManager()
        runner = asyncio.create_task(manager.run_tasks())
        await asyncio.sleep(7)
        started = asyncio.Event()

        async def work(task: LocalTask) -> None:
            started.set()

        manager.create_task("now", work)
        await started.wait()
        at = asyncio.get_running_loop().time()
        manager.stop()
        await runner
        return at

    assert run_in_virtual_time(main()) == 7.0


def test_timestamps_tell_of_creation_start_and_end() -> None:
    async def main() -> LocalTask:
        manager = LocalTaskManager(max_concurrent_tasks=1)

        async def work(task: LocalTask) -> None:
            await asyncio.sleep(2)

        manager.create_task("first", work)
        task = manager.get_task(manager.create_task("second", work))
        assert task is not None
        assert (task.started_at, task.completed_at, task.result, task.error) == (None,) * 4
        runner = asyncio.create_task(manager.run_tasks())
        await asyncio.sleep(10)
        manager.stop()
        await runner
        return task

    task = run_in_virtual_time(main())
    beginning = datetime.fromtimestamp(0, timezone.utc)
    assert task.created_at == beginning
    assert task.started_at == beginning + timedelta(seconds=2)
    assert task.completed_at == beginning + timedelta(seconds=4)
    assert "second" in repr(task)


async def run_all(manager: LocalTaskManager) -> None:
    """Run until nothing waits or runs."""
    runner = asyncio.create_task(manager.run_tasks())
    while manager.get_stats()["pending"] or manager.get_stats()["running"]:
        await asyncio.sleep(0.001)
    manager.stop()
    await runner


async def test_a_result_may_be_any_object_also_one_that_cannot_travel() -> None:
    manager, thing = LocalTaskManager(), object()

    async def work(task: LocalTask) -> object:
        return thing

    task = manager.get_task(manager.create_task("any", work))
    await run_all(manager)
    assert task.result is thing
    assert (task.state, task.progress, task.error) == (TaskState.COMPLETED, 100.0, None)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (ValueError("no such column"), "ValueError: no such column"),
        (SystemExit(3), "RuntimeError: the task called sys.exit(3)"),
        (asyncio.TimeoutError(), "TimeoutError"),
    ],
)
async def test_whatever_a_task_raises_becomes_its_error_and_others_go_on(
    fault: BaseException, error: str
) -> None:
    manager = LocalTaskManager()

    async def fail(task: LocalTask) -> None:
        task.progress = 30
        raise fault

    failed = manager.get_task(manager.create_task("fails", fail))
    other = manager.get_task(manager.create_task("other", nothing))
    await run_all(manager)
    assert (failed.state, failed.error, failed.result) == (TaskState.FAILED, error, None)
    assert (failed.progress, other.state) == (30.0, TaskState.COMPLETED)
    assert failed.completed_at is not None


async def test_methods_partials_and_callable_objects_are_async_functions_too() -> None:
    class Worker:
        async def work(self, task: LocalTask) -> str:
            return "method"

        async def __call__(self, task: LocalTask) -> str:
            return "object"

    async def add(number: int, task: LocalTask) -> int:
        return number + 1

    manager = LocalTaskManager()
    functions = [Worker().work, Worker(), functools.partial(add, 1)]
    for function in functions:
        manager.create_task("any", function)
    await run_all(manager)
    assert [task.result for task in manager.list_tasks()] == ["method", "object", 2]
    assert [task.coroutine for task in manager.list_tasks()] == functions


async def test_tasks_run_in_the_context_of_run_tasks() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    manager = LocalTaskManager()

    async def inner(task: LocalTask) -> str:
        return variable.get()

    async def outer(task: LocalTask) -> None:
        variable.set("the task's own")
        manager.create_task("inner", inner)

    variable.set("the runner's")
    manager.create_task("outer", outer)
    await run_all(manager)
    assert manager.list_tasks()[1].result == "the runner's"


# ------------------------------------------------------------------------------ asked for


def test_an_unknown_task_is_none_and_nothing_can_be_done_with_it() -> None:
    manager = LocalTaskManager()
    assert manager.get_task("ghost") is None
    assert manager.cancel_task("ghost") is False
    assert manager.set_priority("ghost", 1) is False
    with pytest.raises(UnknownTask, match="'ghost'"):
        manager.update_progress("ghost", 1.0)


def test_ids_are_uuids_in_the_order_of_creation() -> None:
    manager = LocalTaskManager()
    ids = [manager.create_task(f"{number}", nothing) for number in range(20)]
    assert [task.id for task in manager.list_tasks()] == ids
    assert all(len(task_id) == 36 for task_id in set(ids))
    assert manager.get_task(ids[7]).name == "7"


def test_only_a_waiting_task_gets_another_priority() -> None:
    async def main() -> list[bool]:
        manager = LocalTaskManager()

        async def work(task: LocalTask) -> None:
            await asyncio.sleep(1)

        task_id = manager.create_task("any", work, priority=3)
        task = manager.get_task(task_id)
        changed = [manager.set_priority(task_id, 100)]
        assert task.priority == 100
        runner = asyncio.create_task(manager.run_tasks())
        await asyncio.sleep(0.5)
        changed.append(manager.set_priority(task_id, 1))
        await asyncio.sleep(1)
        changed.append(manager.set_priority(task_id, 1))
        assert task.priority == 100
        manager.stop()
        await runner
        return changed

    assert run_in_virtual_time(main()) == [True, False, False]


def test_progress_is_noted_of_running_tasks_alone() -> None:
    async def main() -> None:
        manager = LocalTaskManager()

        async def work(task: LocalTask) -> None:
            await asyncio.sleep(1)

        task_id = manager.create_task("any", work)
        task = manager.get_task(task_id)
        task.progress = 10
        assert task.progress == 0.0
        runner = asyncio.create_task(manager.run_tasks())
        await asyncio.sleep(0.5)
        manager.update_progress(task_id, 75)
        assert task.progress == 75.0
        await asyncio.sleep(1)
        task.progress = 20
        assert task.progress == 100.0
        manager.stop()
        await runner

    run_in_virtual_time(main())


# ------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize("progress", [-0.1, 100.1, float("nan"), float("inf"), "50", None, True])
async def test_progress_out_of_range_is_refused_where_it_is_set(progress: Any) -> None:
    manager = LocalTaskManager()

    async def work(task: LocalTask) -> None:
        task.progress = progress

    task = manager.get_task(manager.create_task("any", work))
    with pytest.raises(InvalidInput, match="it must be a number from 0 to 100"):
        manager.update_progress(task.id, progress)
    await run_all(manager)
    assert task.state is TaskState.FAILED
    assert task.error.startswith("InvalidInput: progress is")


def test_what_is_no_async_function_of_a_task_is_refused_at_the_call() -> None:
    async def takes_none() -> None: ...

    async def takes_two(task: LocalTask, other: int) -> None: ...

    def plain(task: LocalTask) -> None: ...

    def generator(*arguments: object) -> Iterator[int]:
        yield 1

    manager = LocalTaskManager()
    called = nothing(None)
    for function, words in [
        (plain, "is not an async function"),
        (generator, "is not an async function"),
        ("work", "'work' is not an async function"),
        (None, "None is not an async function"),
        (called, r"nothing\(\) is a coroutine, not a function"),
        (takes_none, "can't be called with only the task"),
        (takes_two, "can't be called with only the task"),
    ]:
        with pytest.raises(InvalidInput, match=words):
            manager.create_task("any", function)
    called.close()
    assert manager.get_stats()["total"] == 0


async def test_what_returns_a_coroutine_performs_a_task() -> None:
    async def name_of(task: LocalTask, suffix: str = "") -> str:
        return task.name + suffix

    def wrapper(*arguments: object) -> Any:
        return name_of(*arguments)

    manager = LocalTaskManager()
    performers = [lambda task: name_of(task, "!"), wrapper, partial(wrapper), lambda task: 5]
    tasks = [manager.get_task(manager.create_task("a", each)) for each in performers]
    await run_all(manager)
    assert [task.result for task in tasks] == ["a!", "a", "a", None]
    assert "returned 5, which can't be awaited" in tasks[-1].error


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": " "}, "name: ' ': must be text that is not blank"),
        ({"name": None}, "name: None: must be text"),
        ({"name": "x" * 10_001}, "name: "),
        ({"priority": 2**40}, "priority: "),
        ({"priority": "high"}, "priority: 'high'"),
        ({"priority": 1.5}, "priority: 1.5"),
    ],
)
def test_a_name_or_priority_that_is_none_is_refused_at_the_call(
    arguments: dict[str, Any], words: str
) -> None:
    manager = LocalTaskManager()
    with pytest.raises(InvalidTask, match=words):
        manager.create_task(**{"name": "any", "coroutine": nothing, **arguments})
    assert manager.list_tasks() == []


def test_a_priority_out_of_range_is_refused_for_a_waiting_task() -> None:
    manager = LocalTaskManager()
    task_id = manager.create_task("any", nothing)
    with pytest.raises(InvalidTask, match="priority"):
        manager.set_priority(task_id, 2**40)


def test_a_state_that_is_none_is_told_with_those_there_are() -> None:
    with pytest.raises(UnknownName, match="no task state 'done'; known: CANCELLED, COMPLETED"):
        LocalTaskManager().list_tasks("done")


@pytest.mark.parametrize("count", [0, -1, 1.5, True, "3", None])
def test_the_limits_must_be_integers_that_make_sense(count: Any) -> None:
    with pytest.raises(InvalidInput, match="max_concurrent_tasks is"):
        LocalTaskManager(max_concurrent_tasks=count)
    if count != 0:
        with pytest.raises(InvalidInput, match="max_finished_tasks is"):
            LocalTaskManager(max_finished_tasks=count)
