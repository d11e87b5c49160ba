"""Calls from other threads, finished tasks that are kept, and many tasks."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from muster.agents import LocalTask, LocalTaskManager, TaskState


async def nothing(task: LocalTask) -> None:
    del task


async def until_idle(manager: LocalTaskManager) -> None:
    deadline = time.monotonic() + 60
    while manager.get_stats()["pending"] or manager.get_stats()["running"]:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.002)


async def test_any_thread_may_create_look_at_reprioritize_and_cancel_tasks() -> None:
    manager = LocalTaskManager(max_concurrent_tasks=3)
    cancelled: list[bool] = []
    faults: list[BaseException] = []

    async def work(task: LocalTask) -> int:
        task.progress = 50
        await asyncio.sleep(0)
        return 1

    def use(seed: int) -> None:
        try:
            for number in range(50):
                task_id = manager.create_task(f"{seed}/{number}", work, priority=number % 5)
                manager.set_priority(task_id, number % 7)
                manager.get_stats()
                if number % 10 == 0:
                    manager.list_tasks(TaskState.PENDING)
                if number % 4 == 0:
                    cancelled.append(manager.cancel_task(task_id))
        except BaseException as fault:  # noqa: BLE001 - asserted below
            faults.append(fault)

    runner = asyncio.create_task(manager.run_tasks())
    threads = [threading.Thread(target=use, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        await asyncio.sleep(0.001)
    await until_idle(manager)
    assert faults == []
    stats = manager.get_stats()
    assert stats["total"] == 200
    assert stats["cancelled"] == sum(cancelled)
    assert stats["completed"] == 200 - sum(cancelled)
    manager.stop()
    await runner


async def test_another_thread_wakes_and_stops_a_loop_that_sleeps() -> None:
    manager = LocalTaskManager()
    runner = asyncio.create_task(manager.run_tasks())
    await asyncio.sleep(0)
    done = asyncio.Event()

    async def work(task: LocalTask) -> None:
        done.set()

    await asyncio.to_thread(manager.create_task, "any", work)
    await asyncio.wait_for(done.wait(), 60)
    await asyncio.to_thread(manager.stop)
    await asyncio.wait_for(runner, 60)


async def test_of_more_finished_tasks_than_are_kept_the_oldest_are_forgotten() -> None:
    manager = LocalTaskManager(max_concurrent_tasks=1, max_finished_tasks=3)

    async def work(task: LocalTask) -> str:
        if task.name == "fails":
            raise ValueError
        return task.name

    first = manager.get_task(manager.create_task("0", work))
    manager.create_task("fails", work)
    cancelled = manager.create_task("cancelled", work)
    for number in range(1, 5):
        manager.create_task(str(number), work)
    manager.cancel_task(cancelled)
    runner = asyncio.create_task(manager.run_tasks())
    await until_idle(manager)
    assert [task.name for task in manager.list_tasks()] == ["2", "3", "4"]
    assert manager.get_task(first.id) is None
    # Who has the task still sees how it went, and the statistics count it.
    assert (first.state, first.result) == (TaskState.COMPLETED, "0")
    assert manager.get_stats() == {
        "total": 7,
        "pending": 0,
        "running": 0,
        "completed": 5,
        "failed": 1,
        "cancelled": 1,
    }
    manager.stop()
    await runner


async def test_none_need_be_kept_and_callbacks_still_hear_of_each() -> None:
    manager, heard = LocalTaskManager(max_finished_tasks=0), []

    async def hear(task: LocalTask, event_type: str) -> None:
        heard.append((task.name, event_type, task.state.value))

    manager.add_event_callback(hear)
    manager.create_task("a", nothing)
    runner = asyncio.create_task(manager.run_tasks())
    await until_idle(manager)
    manager.stop()
    await runner
    assert manager.list_tasks() == []
    assert heard[-1] == ("a", "completed", "completed")


@pytest.mark.slow
async def test_twelve_thousand_tasks_take_no_longer_each_than_a_few() -> None:
    async def seconds_for_each(count: int) -> float:
        manager = LocalTaskManager(max_concurrent_tasks=50, max_finished_tasks=1_000)
        began_at = time.process_time()
        for number in range(count):
            manager.create_task("any", nothing, priority=number % 100)
        runner = asyncio.create_task(manager.run_tasks())
        while manager.get_stats()["completed"] < count:
            await asyncio.sleep(0.01)
        spent = time.process_time() - began_at
        manager.stop()
        await runner
        assert len(manager.list_tasks()) == 1_000
        return spent / count

    few = min([await seconds_for_each(1_200) for _ in range(2)])
    assert await seconds_for_each(12_000) < 4 * few
