"""The examples of the API documentation, unchanged but for the import."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pytest
from muster.agents import LocalTaskManager as TaskManager
from muster.agents import TaskState, run_in_virtual_time


def test_basic_task_execution(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        manager = TaskManager(max_concurrent_tasks=3)

        async def my_work(task):
            await asyncio.sleep(2)
            return "Done!"

        task_id = manager.create_task("Work", my_work)

        # Start the manager
        runner = asyncio.create_task(manager.run_tasks())  # noqa: F841, RUF006 - as documented

        # Wait for completion
        await asyncio.sleep(3)

        task = manager.get_task(task_id)
        print(f"Result: {task.result}")

        manager.stop()

    run_in_virtual_time(main())
    assert capsys.readouterr().out == "Result: Done!\n"


def test_creating_a_task_and_looking_at_it(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        manager = TaskManager(max_concurrent_tasks=5)

        async def my_task(task):
            # Your async code here
            task.progress = 50.0
            await asyncio.sleep(1)
            return "result"

        task_id = manager.create_task("My Task", my_task, priority=10)
        runner = asyncio.create_task(manager.run_tasks())
        await asyncio.sleep(0.5)

        task = manager.get_task(task_id)
        if task:
            print(f"State: {task.state.name}, Progress: {task.progress}%")

        # Get all tasks
        all_tasks = manager.list_tasks()

        # Get only running tasks
        running = manager.list_tasks(TaskState.RUNNING)
        assert all_tasks == running == [task]
        assert isinstance(task_id, str)

        if manager.cancel_task(task_id):
            print("Task cancelled")
        assert task.state == TaskState.CANCELLED
        manager.stop()
        await runner

    run_in_virtual_time(main())
    # Another name of one state: IN_PROGRESS is RUNNING.
    assert capsys.readouterr().out == "State: IN_PROGRESS, Progress: 50.0%\nTask cancelled\n"


async def test_a_task_with_progress_updates() -> None:
    manager = TaskManager()
    seen = []

    async def progressive_task(task):
        total_steps = 10
        for i in range(total_steps):
            # Do some work
            await asyncio.sleep(0)

            # Update progress
            progress = ((i + 1) / total_steps) * 100
            task.progress = progress
            seen.append(manager.get_task(task.id).progress)

        return "All steps completed"

    task_id = manager.create_task("Progressive", progressive_task)
    runner = asyncio.create_task(manager.run_tasks())
    while manager.get_task(task_id).state != TaskState.COMPLETED:
        await asyncio.sleep(0.001)
    assert seen == [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 100.0]
    assert manager.get_task(task_id).result == "All steps completed"
    manager.stop()
    await runner


async def test_monitoring_events_with_a_plain_and_an_async_callback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    manager = TaskManager()

    def log_event(task, event_type):
        timestamp = datetime.now().strftime("%H:%M:%S")  # noqa: DTZ005 - as documented
        assert timestamp
        print(f"plain: {task.name} - {event_type}")

    async def on_task_event(task, event_type):
        print(f"Task {task.name} {event_type}")

    async def work(task):
        return 1

    manager.add_event_callback(log_event)
    manager.add_event_callback(on_task_event)
    manager.create_task("Pluck", work)
    runner = asyncio.create_task(manager.run_tasks())
    while manager.get_stats()["completed"] < 1:
        await asyncio.sleep(0.001)
    manager.stop()
    await runner
    told = capsys.readouterr().out.splitlines()
    assert [each for each in told if each.startswith("plain")] == [
        "plain: Pluck - started",
        "plain: Pluck - completed",
    ]
    assert [each for each in told if each.startswith("Task")] == [
        "Task Pluck started",
        "Task Pluck completed",
    ]


def test_the_priority_queue() -> None:
    began = []

    async def main() -> None:
        manager = TaskManager(max_concurrent_tasks=1)

        async def note(task):
            began.append(task.name)

        low_work = normal_work = urgent_work = note
        # In the opposite order to the documentation's, where it would be right by chance.
        low = manager.create_task("Low", low_work, priority=1)
        normal = manager.create_task("Normal", normal_work, priority=10)
        urgent = manager.create_task("Urgent", urgent_work, priority=100)
        late = manager.create_task("Late", note, priority=0)
        assert len({low, normal, urgent, late}) == 4
        manager.set_priority(late, 100)
        runner = asyncio.create_task(manager.run_tasks())
        await asyncio.sleep(1)
        manager.stop()
        await runner

    run_in_virtual_time(main())
    assert began == ["Urgent", "Late", "Normal", "Low"]


def test_error_handling(capsys: pytest.CaptureFixture[str]) -> None:
    caught = []

    async def some_async_operation():
        raise ValueError("the scale is broken")

    async def main() -> None:
        manager = TaskManager()

        async def risky_task(task):
            try:
                # Risky operation
                result = await some_async_operation()
                return result  # noqa: RET504 - as documented
            except Exception as e:
                # Error is automatically captured in task.error
                caught.append(e)
                raise

        task_id = manager.create_task("Risky", risky_task)
        runner = asyncio.create_task(manager.run_tasks())
        await asyncio.sleep(1)

        # Check later
        task = manager.get_task(task_id)
        if task.state == TaskState.FAILED:
            print(f"Error: {task.error}")
        manager.stop()
        await runner

    run_in_virtual_time(main())
    assert capsys.readouterr().out == "Error: ValueError: the scale is broken\n"


def test_updating_progress_from_outside_and_the_statistics() -> None:
    async def main() -> dict[str, int]:
        manager = TaskManager(max_concurrent_tasks=3)

        async def work(task):
            await asyncio.sleep(10 if task.name == "long" else 1)

        for _ in range(5):
            manager.create_task("short", work, priority=2)
        task_id = manager.create_task("long", work, priority=1)
        for _ in range(4):
            manager.create_task("long", work)
        runner = asyncio.create_task(manager.run_tasks())
        await asyncio.sleep(5)
        manager.update_progress(task_id, 75.0)
        assert manager.get_task(task_id).progress == 75.0
        stats = manager.get_stats()
        manager.stop()
        await runner
        return stats

    assert run_in_virtual_time(main()) == {
        "total": 10,
        "pending": 2,
        "running": 3,
        "completed": 5,
        "failed": 0,
        "cancelled": 0,
    }
