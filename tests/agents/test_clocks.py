"""Whatever is made before the loop that it runs in goes by the clock of that loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from muster.agents import (
    LocalTaskManager,
    TaskManager,
    WorkerAgent,
    rehearse,
    run_in_virtual_time,
)
from muster.agents.runtime.clock import now
from muster.agents.store.memory import MemoryStore, SharedRows
from muster.messages import InvalidInput, Task

A_DAY_S = 86_400.0


def tasks() -> list[Task]:
    return [
        Task(id=1, description="too hard for anybody", difficulty=10),
        Task(id=2, description="done soon"),
    ]


def in_virtual_time(story: Callable[[], Awaitable[Any]]) -> Any:
    async def go() -> Any:
        return await story()

    return run_in_virtual_time(go())


def built_outside() -> tuple[TaskManager, WorkerAgent]:
    return TaskManager(tasks(), 1, quiet=True), WorkerAgent("Ada", 5)


def fed_outside() -> tuple[TaskManager, WorkerAgent]:
    manager = TaskManager((), 1, quiet=True)
    for each in tasks():
        manager.add_task(each)
    manager.set_priority(1, 7)
    return manager, WorkerAgent("Ada", 5)


def built_in_another_loop() -> tuple[TaskManager, WorkerAgent]:
    async def build() -> tuple[TaskManager, WorkerAgent]:
        await asyncio.sleep(2 * A_DAY_S)
        return built_outside()

    return run_in_virtual_time(build())


def built_with_a_store() -> tuple[TaskManager, WorkerAgent]:
    return TaskManager(tasks(), 1, quiet=True, store=MemoryStore(SharedRows())), WorkerAgent(
        "Ada", 5
    )


def told_to_expire() -> tuple[TaskManager, WorkerAgent]:
    given = [each.model_copy(update={"expires_s": 20.0}) for each in tasks()]
    return TaskManager(given, 1, quiet=True, unmatched_after_s=None), WorkerAgent("Ada", 5)


BUILDS = [built_outside, fed_outside, built_in_another_loop, built_with_a_store, told_to_expire]


@pytest.mark.parametrize("build", BUILDS)
def test_a_run_in_virtual_time_ends_whatever_it_was_built_by(
    build: Callable[[], tuple[TaskManager, WorkerAgent]],
) -> None:
    manager, worker = build()

    async def story() -> Any:
        report = await asyncio.wait_for(rehearse(manager, [worker]), A_DAY_S)
        return report, now()

    report, took_s = in_virtual_time(story)
    assert [each.status.value for each in report.tasks] == ["failed", "completed"]
    assert took_s < 100
    stories = [each for record in manager.board.tasks.values() for each in record.story]
    assert all(0 <= each.at < 100 for each in stories)
    assert report.duration < 100


@pytest.mark.parametrize("build", BUILDS)
def test_two_such_runs_are_alike(build: Callable[[], tuple[TaskManager, WorkerAgent]]) -> None:
    def run() -> Any:
        manager, worker = build()

        async def story() -> Any:
            return await asyncio.wait_for(rehearse(manager, [worker]), A_DAY_S)

        return in_virtual_time(story)

    assert run() == run()


def test_a_run_that_was_built_in_virtual_time_goes_on_in_real_time() -> None:
    async def build() -> TaskManager:
        return TaskManager([Task(id=1, description="x", type="dig", expires_s=30.0)], 1, quiet=True)

    manager = run_in_virtual_time(build())
    worker = WorkerAgent("Ada", 5)

    @worker.task("dig")
    async def dig(_: Task) -> int:
        return 1

    report = asyncio.run(rehearse(manager, [worker]))
    assert report.success_rate == 1.0
    assert report.started_at > 1e9


def test_a_kept_run_does_not_change_its_clock_under_way() -> None:
    kept = SharedRows()

    async def begin() -> None:
        manager = TaskManager(tasks(), 1, quiet=True, store=MemoryStore(kept))
        running = asyncio.ensure_future(rehearse(manager, [WorkerAgent("Ada", 5)]))
        await asyncio.sleep(1.0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run_in_virtual_time(begin())
    manager = TaskManager(tasks(), 1, quiet=True, store=MemoryStore(kept))

    async def go_on() -> Any:
        return await rehearse(manager, [WorkerAgent("Ada", 5)])

    with pytest.raises(InvalidInput, match="has begun in real time, and can't continue in virtual"):
        in_virtual_time(go_on)


def test_a_report_of_an_unfinished_run_goes_by_its_own_clock() -> None:
    manager = TaskManager(tasks(), 1, quiet=True)

    async def story() -> None:
        running = asyncio.ensure_future(rehearse(manager, [WorkerAgent("Ada", 5)]))
        await asyncio.sleep(5.0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run_in_virtual_time(story())
    assert manager.report().duration < 10


def test_local_tasks_go_by_the_clock_of_their_run_from_any_thread() -> None:
    manager = LocalTaskManager()
    made: list[str] = []

    async def work(_: Any) -> str:
        await asyncio.sleep(5.0)
        return "done"

    made.append(manager.create_task("before", work))

    async def story() -> None:
        running = asyncio.ensure_future(manager.run_tasks())
        await asyncio.sleep(1.0)
        made.append(await asyncio.to_thread(manager.create_task, "from a thread", work))
        await asyncio.sleep(60.0)
        manager.stop()
        await running

    run_in_virtual_time(story())
    for task_id in made:
        task = manager.get_task(task_id)
        assert task is not None
        assert task.result == "done"
        times = [task.created_at, task.started_at, task.completed_at]
        assert all(each is not None and each.year == 1970 for each in times)
        assert times == sorted(each for each in times if each is not None)
