"""A worker that leaves in order finishes what it runs, and gives back what it has not begun."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from muster.agents import TaskManager, TaskStatus, WorkerAgent, rehearse, run_in_virtual_time
from muster.messages import InvalidInput, Task


def crew(begun: Counter[Any], takes_s: float, *names: str) -> list[WorkerAgent]:
    workers = [WorkerAgent(name, 5) for name in names]
    for worker in workers:

        @worker.task("sleep")
        async def sleep(task: Task, worker: WorkerAgent = worker) -> str:
            begun[task.id, worker.name] += 1
            await asyncio.sleep(takes_s)
            return worker.name

    return workers


async def one_leaves(
    takes_s: float, grace_s: float, *, tasks: int = 4, again_after_s: float | None = None
) -> tuple[Any, Counter[Any], float]:
    """Ada leaves while she and Bob work; returns the report, what began, and when she had left."""
    begun: Counter[Any] = Counter()
    ada, bob = crew(begun, takes_s, "Ada", "Bob")
    work = [Task(id=number, type="sleep") for number in range(1, tasks + 1)]
    manager = TaskManager(work, ["Ada", "Bob"], quiet=True)
    running = asyncio.ensure_future(rehearse(manager, [ada, bob]))
    loop = asyncio.get_running_loop()
    await asyncio.sleep(1.0)
    asked_at = loop.time()
    leaving = asyncio.ensure_future(ada.stop(grace_s=grace_s))
    if again_after_s is not None:
        await asyncio.sleep(again_after_s)
        await ada.stop()
    await leaving
    left_s = loop.time() - asked_at
    return await running, begun, left_s


def test_a_task_that_ends_within_the_grace_is_recorded_once() -> None:
    report, begun, left_s = run_in_virtual_time(one_leaves(takes_s=3.0, grace_s=30.0))
    assert {task.status for task in report.tasks} == {TaskStatus.COMPLETED}
    assert [task.output for task in report.tasks].count("Ada") == 1
    assert all(times == 1 for times in begun.values())
    assert len(begun) == 4, "a task began twice"
    assert 1.5 < left_s < 3.0, "she leaves as soon as her task is recorded"


def test_a_task_that_takes_longer_than_the_grace_is_given_back_and_is_no_loss() -> None:
    report, _, left_s = run_in_virtual_time(one_leaves(takes_s=60.0, grace_s=5.0, tasks=2))
    assert {task.status for task in report.tasks} == {TaskStatus.COMPLETED}
    (given_back,) = [task for task in report.tasks if len(task.history) > 1]
    assert [(each.worker, each.outcome.value) for each in given_back.history] == [
        ("Ada", "returned"),
        ("Bob", "succeeded"),
    ]
    assert 5.0 <= left_s < 8.0


def test_a_second_stop_ends_the_grace() -> None:
    report, _, left_s = run_in_virtual_time(
        one_leaves(takes_s=60.0, grace_s=30.0, tasks=2, again_after_s=2.0)
    )
    assert {task.status for task in report.tasks} == {TaskStatus.COMPLETED}
    assert left_s < 4.0


def test_what_was_sent_ahead_and_has_not_begun_is_given_back_at_once() -> None:
    async def story() -> tuple[Any, Counter[Any]]:
        begun: Counter[Any] = Counter()
        ada, bob = crew(begun, 0.02, "Ada", "Bob")
        manager = TaskManager((), ["Ada", "Bob"], quiet=True, prefetch_s=5.0)
        manager.stay()
        running = asyncio.ensure_future(rehearse(manager, [ada, bob]))
        await asyncio.sleep(1.0)
        # So that the manager learns how short they are.
        for number in range(1, 300):
            manager.add_task(Task(id=number, type="sleep"))
        await asyncio.sleep(0.5)
        await ada.stop(grace_s=30.0)
        await asyncio.sleep(0.1)
        assert not manager.board.workers["Ada"].alive
        await asyncio.sleep(20.0)
        await manager.stop()
        return await running, begun

    report, begun = run_in_virtual_time(story())
    assert {task.status for task in report.tasks} == {TaskStatus.COMPLETED}
    assert max(begun.values()) == 1
    assert len(begun) == 299, "a task that was given back began twice"
    outcomes = Counter(each.outcome.value for task in report.tasks for each in task.history)
    assert outcomes["not begun"] > 0
    assert set(outcomes) == {"not begun", "succeeded"}


def test_a_negative_grace_is_refused() -> None:
    worker = WorkerAgent("Ada", 5)
    with pytest.raises(InvalidInput, match=r"grace_s is -1; it must be 0 seconds or more"):
        asyncio.run(worker.stop(grace_s=-1))


@pytest.mark.ceylon
async def test_a_worker_that_has_said_goodbye_does_not_join_again() -> None:
    joined: list[str] = []
    async with TaskManager(port=0, quiet=True) as manager:
        manager.watch(lambda each: joined.append(each.what.name) if each.worker else None)
        worker = WorkerAgent("Ada", 5, ticket=manager.ticket())
        await worker.start()
        await worker.stop()
        await asyncio.sleep(0.5)
    assert joined.count("WORKER_JOINED") == joined.count("WORKER_LOST") == 1
