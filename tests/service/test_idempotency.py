"""A task's id is an idempotency key: the same task is done once, however often it is submitted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from muster.agents import Handlers, TaskManager
from muster.agents.simulation.virtual_time import run_in_virtual_time
from muster.messages import DuplicateTask, RunEnded, Task, TaskResult

Make = Callable[..., Any]
Story = Callable[[TaskManager], Awaitable[Any]]


class Counting:
    """Handlers that count how often each task was done."""

    def __init__(self) -> None:
        self.done: list[object] = []
        self.handlers = Handlers()
        self.handlers.task("double")(self.double)

    async def double(self, task: Task) -> int:
        await asyncio.sleep(1)
        self.done.append(task.id)
        return task.data * 2


def doubling(number: int, **fields: Any) -> Task:
    return Task(id=number, type="double", data=number, **fields)


def play(hall: Make, story: Story, **options: Any) -> tuple[Any, list[object]]:
    """Let a story use a manager with two workers. Returns what it returns, and what was done."""
    counting = Counting()

    async def run() -> Any:
        at = hall()
        manager = at.manager(reassign_failed=False, **options)
        await manager.start()
        for name in ("Ada", "Ben"):
            await at.worker(name, handlers=counting.handlers, slots=2).start()
        told = await story(manager)
        await manager.stop()
        return told

    return run_in_virtual_time(run()), counting.done


async def _submit_one_after_the_other(manager: TaskManager) -> list[TaskResult]:
    return [await manager.submit(doubling(1)) for _ in range(3)]


async def _submit_at_once(manager: TaskManager) -> list[TaskResult]:
    return await asyncio.gather(*(manager.submit(doubling(1)) for _ in range(3)))


async def _submit_without_waiting(manager: TaskManager) -> list[TaskResult]:
    futures = [manager.submit_nowait(doubling(1)) for _ in range(3)]
    return [await asyncio.wrap_future(each) for each in futures]


async def _add_and_submit(manager: TaskManager) -> list[TaskResult]:
    manager.add_task(doubling(1))
    await manager.batch_assign_tasks([doubling(1), doubling(1)])
    return [await manager.submit(doubling(1)) for _ in range(3)]


async def _submit_many_in_one_batch(manager: TaskManager) -> list[TaskResult]:
    return [each async for each in manager.submit_many([doubling(1)] * 3)]


async def _submit_many_in_batches(manager: TaskManager) -> list[TaskResult]:
    return [each async for each in manager.submit_many([doubling(1)] * 3, batch_size=1)]


async def _submit_many_from_an_asynchronous_source(manager: TaskManager) -> list[TaskResult]:
    async def source() -> AsyncIterator[Task]:
        for _ in range(3):
            yield doubling(1)
            await asyncio.sleep(0.4)

    return [each async for each in manager.submit_many(source())]


@pytest.mark.parametrize(
    "story",
    [
        _submit_one_after_the_other,
        _submit_at_once,
        _submit_without_waiting,
        _add_and_submit,
        _submit_many_in_one_batch,
        _submit_many_in_batches,
        _submit_many_from_an_asynchronous_source,
    ],
)
def test_the_same_task_is_done_once_and_each_submission_has_its_result(
    hall: Make, story: Story
) -> None:
    results, done = play(hall, story)
    assert done == [1]
    assert [(each.task_id, each.output) for each in results] == [(1, 2)] * 3


@pytest.mark.parametrize("batch_size", [1, 2, 10])
@pytest.mark.parametrize("numbers", [(1, 2, 1), (2, 1, 1), (1, 1, 2), (3, 1, 1, 2, 1, 3)])
def test_results_in_order_have_one_for_each_task_that_was_given(
    hall: Make, numbers: tuple[int, ...], batch_size: int
) -> None:
    async def story(manager: TaskManager) -> list[object]:
        tasks = [doubling(number) for number in numbers]
        given = manager.submit_many(tasks, in_order=True, batch_size=batch_size)
        return [each.output async for each in given]

    outputs, done = play(hall, story)
    assert outputs == [number * 2 for number in numbers]
    assert sorted(done) == sorted(set(numbers))


@pytest.mark.parametrize("in_order", [False, True])
def test_tasks_that_are_forgotten_may_be_among_those_given_again(
    hall: Make, in_order: bool
) -> None:
    async def story(manager: TaskManager) -> tuple[list[object], int]:
        tasks = [doubling(number) for number in (1, 2, 1, 2, 3)]
        given = manager.submit_many(tasks, in_order=in_order, forget=True)
        outputs = [each.output async for each in given]
        return outputs, len(manager.board.tasks)

    (outputs, kept), done = play(hall, story)
    assert (sorted(outputs), kept) == ([2, 2, 4, 4, 6], 0)
    assert sorted(done) == [1, 2, 3]


def test_another_task_with_the_id_is_refused_and_the_first_goes_on(hall: Make) -> None:
    async def story(manager: TaskManager) -> TaskResult:
        first = asyncio.ensure_future(manager.submit(doubling(1)))
        await asyncio.sleep(0.1)
        with pytest.raises(DuplicateTask, match="max_attempts is 1 there and 3 now"):
            await manager.submit(doubling(1, max_attempts=3))
        return await first

    result, done = play(hall, story)
    assert (result.output, done) == (2, [1])


def test_all_who_wait_for_a_task_are_told_when_the_run_ends_before(hall: Make) -> None:
    async def story(manager: TaskManager) -> list[object]:
        waiting = [manager.submit_nowait(Task(id=1, type="nobody")) for _ in range(3)]
        await manager.stop()
        return [each.exception() for each in waiting]

    faults, _ = play(hall, story)
    assert [type(each) for each in faults] == [RunEnded] * 3


def test_tasks_without_ids_are_different_tasks(hall: Make) -> None:
    async def story(manager: TaskManager) -> list[TaskResult]:
        return [await manager.submit(Task(type="double", data=4)) for _ in range(2)]

    results, done = play(hall, story)
    assert ([each.output for each in results], len(set(done))) == ([8, 8], 2)


def test_after_a_restart_with_a_store_the_first_result_is_there(hall: Make, tmp_path: Path) -> None:
    async def first(manager: TaskManager) -> TaskResult:
        return await manager.submit(doubling(1))

    async def again(manager: TaskManager) -> TaskResult:
        with pytest.raises(DuplicateTask, match="data is 1 there and 5 now"):
            await manager.submit(Task(id=1, type="double", data=5))
        return await manager.submit(doubling(1))

    before, done = play(hall, first, store=tmp_path / "run.db")
    after, done_again = play(hall, again, store=tmp_path / "run.db")
    assert (done, done_again) == ([1], [])
    assert before.output == after.output == 2
