"""Cancelling a task, before and while it runs, and stopping the manager."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

import pytest
from muster.agents import LocalTask, LocalTaskManager, TaskState, run_in_virtual_time
from muster.agents.local import manager as local_manager
from muster.messages import InvalidInput


class Heard:
    """An async callback that remembers."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    async def __call__(self, task: LocalTask, event_type: str) -> None:
        self.events.append((task.name, event_type))


async def sleep(task: LocalTask) -> str:
    await asyncio.sleep(60)
    return "slept"


def test_a_waiting_task_that_is_cancelled_never_runs() -> None:
    async def main() -> None:
        manager, heard = LocalTaskManager(), Heard()
        manager.add_event_callback(heard)
        task = manager.get_task(manager.create_task("any", sleep))
        assert manager.cancel_task(task.id) is True
        assert manager.cancel_task(task.id) is False
        runner = asyncio.create_task(manager.run_tasks())
        await asyncio.sleep(100)
        manager.stop()
        await runner
        assert (task.state, task.started_at, task.error) == (TaskState.CANCELLED, None, None)
        assert task.completed_at is not None
        assert heard.events == [("any", "cancelled")]

    run_in_virtual_time(main())


def test_a_running_task_is_cancelled_where_it_waits_and_its_place_goes_to_the_next() -> None:
    async def main() -> None:
        manager, heard = LocalTaskManager(max_concurrent_tasks=1), Heard()
        manager.add_event_callback(heard)
        cleaned_up_at: list[float] = []

        async def careful(task: LocalTask) -> None:
            try:
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(2)
                cleaned_up_at.append(asyncio.get_running_loop().time())

        first = manager.get_task(manager.create_task("first", careful))
        second = manager.get_task(manager.create_task("second", sleep))
        runner = asyncio.create_task(manager.run_tasks())
        await asyncio.sleep(1)
        assert manager.cancel_task(first.id) is True
        assert first.state is TaskState.CANCELLED
        await asyncio.sleep(1)
        # Its place is taken until it has really ended.
        assert second.state is TaskState.PENDING
        await asyncio.sleep(2)
        assert cleaned_up_at == [3.0]
        assert second.state is TaskState.RUNNING
        assert second.started_at.timestamp() == 3.0
        manager.stop()
        await runner
        assert heard.events == [
            ("first", "started"),
            ("first", "cancelled"),
            ("second", "started"),
            ("second", "cancelled"),
        ]

    run_in_virtual_time(main())


def test_a_task_cancelled_before_its_first_step_does_nothing() -> None:
    async def main() -> None:
        manager = LocalTaskManager(max_concurrent_tasks=1)
        ran: list[str] = []

        async def work(task: LocalTask) -> None:
            ran.append(task.name)

        runner = asyncio.create_task(manager.run_tasks())
        await asyncio.sleep(1)
        first = manager.create_task("first", work)
        assert manager.get_task(first).state is TaskState.RUNNING
        assert manager.cancel_task(first)
        manager.create_task("second", work)
        await asyncio.sleep(1)
        assert ran == ["second"]
        manager.stop()
        await runner

    run_in_virtual_time(main())


@pytest.mark.parametrize("ending", ["returns", "raises"])
def test_what_a_cancelled_task_still_returns_or_raises_does_not_count(ending: str) -> None:
    async def main() -> None:
        manager = LocalTaskManager()

        async def stubborn(task: LocalTask) -> str:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if ending == "raises":
                    raise ValueError("too late") from None
            return "too late"

        task = manager.get_task(manager.create_task("any", stubborn))
        runner = asyncio.create_task(manager.run_tasks())
        await asyncio.sleep(1)
        manager.cancel_task(task.id)
        await asyncio.sleep(1)
        assert (task.state, task.result, task.error) == (TaskState.CANCELLED, None, None)
        assert manager.get_stats()["running"] == 0
        manager.stop()
        await runner

    run_in_virtual_time(main())


def test_a_task_whose_coroutine_is_cancelled_from_elsewhere_counts_as_cancelled() -> None:
    async def main() -> None:
        manager = LocalTaskManager(max_concurrent_tasks=1)

        async def cancels_itself(task: LocalTask) -> None:
            raise asyncio.CancelledError

        first = manager.get_task(manager.create_task("first", cancels_itself))
        second = manager.get_task(manager.create_task("second", sleep))
        runner = asyncio.create_task(manager.run_tasks())
        await asyncio.sleep(100)
        assert first.state is TaskState.CANCELLED
        assert second.state is TaskState.COMPLETED
        manager.stop()
        await runner

    run_in_virtual_time(main())


# ------------------------------------------------------------------------------ stop


def test_stopping_cancels_what_runs_and_leaves_what_waits_for_another_run() -> None:
    async def main() -> None:
        manager = LocalTaskManager(max_concurrent_tasks=2)
        for name in "abc":
            manager.create_task(name, sleep)
        runner = asyncio.create_task(manager.run_tasks())
        await asyncio.sleep(1)
        manager.stop()
        manager.stop()
        await runner
        states = [task.state.value for task in manager.list_tasks()]
        assert states == ["cancelled", "cancelled", "pending"]
        manager.create_task("d", sleep)
        runner = asyncio.create_task(manager.run_tasks())
        await asyncio.sleep(61)
        states = [task.state.value for task in manager.list_tasks()]
        assert states == ["cancelled", "cancelled", "completed", "completed"]
        manager.stop()
        await runner

    run_in_virtual_time(main())


def test_a_stop_before_the_loop_came_to_run_tasks_counts() -> None:
    async def main() -> LocalTask:
        manager = LocalTaskManager()
        task = manager.get_task(manager.create_task("any", sleep))
        runner = asyncio.create_task(manager.run_tasks())
        manager.stop()
        await runner
        return task

    assert run_in_virtual_time(main()).state is TaskState.PENDING


def test_a_task_may_stop_its_manager() -> None:
    async def main() -> LocalTask:
        manager = LocalTaskManager()

        async def last(task: LocalTask) -> None:
            manager.stop()
            await asyncio.sleep(60)

        task = manager.get_task(manager.create_task("last", last))
        await manager.run_tasks()
        return task

    assert run_in_virtual_time(main()).state is TaskState.CANCELLED


def test_when_the_runner_is_cancelled_so_is_what_runs_and_callbacks_hear_of_it() -> None:
    heard = Heard()

    async def main() -> LocalTask:
        manager = LocalTaskManager()
        manager.add_event_callback(heard)
        task = manager.get_task(manager.create_task("any", sleep))
        manager.create_task("second", sleep)
        runner = asyncio.create_task(manager.run_tasks())
        await asyncio.sleep(1)
        runner.cancel()
        with pytest.raises(asyncio.CancelledError):
            await runner
        return task

    assert run_in_virtual_time(main()).state is TaskState.CANCELLED
    assert heard.events[2:] == [("any", "cancelled"), ("second", "cancelled")]


def test_a_program_that_ends_without_waiting_for_the_runner_ends_its_tasks() -> None:
    heard, ended = Heard(), []

    async def main() -> LocalTask:
        manager = LocalTaskManager(max_concurrent_tasks=1)
        manager.add_event_callback(heard)

        async def work(task: LocalTask) -> None:
            try:
                await asyncio.sleep(60)
            finally:
                ended.append(task.name)

        task = manager.get_task(manager.create_task("first", work))
        manager.create_task("second", work)
        main.runner = asyncio.create_task(manager.run_tasks())
        await asyncio.sleep(0.01)
        return task

    assert asyncio.run(main()).state is TaskState.CANCELLED
    assert ended == ["first"]
    assert heard.events == [("first", "started"), ("first", "cancelled")]


def test_a_task_that_ignores_its_cancelling_is_told_of_and_holds_nothing_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> float:
        manager = LocalTaskManager()

        async def deaf(task: LocalTask) -> None:
            for _ in range(60):
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(1)

        manager.create_task("deaf", deaf)
        runner = asyncio.create_task(manager.run_tasks())
        await asyncio.sleep(10)
        manager.stop()
        await runner
        return asyncio.get_running_loop().time()

    with caplog.at_level(logging.WARNING, "muster"):
        assert run_in_virtual_time(main()) == 10 + local_manager.STOPPING_S
    assert "a task ignores its cancellation task='deaf'" in caplog.text


async def test_two_runs_at_once_are_refused() -> None:
    manager = LocalTaskManager()
    runner = asyncio.create_task(manager.run_tasks())
    await asyncio.sleep(0)
    with pytest.raises(InvalidInput, match="run_tasks is already running"):
        await manager.run_tasks()
    manager.stop()
    await runner


def test_stopping_a_manager_that_does_not_run_does_nothing(caplog: Any) -> None:
    LocalTaskManager().stop()
    assert caplog.text == ""
