"""Callbacks get all events in order; one that raises or hangs disturbs nothing."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Any

import pytest
from muster.agents import LocalTask, LocalTaskManager, run_in_virtual_time
from muster.agents.local import callbacks as event_callbacks
from muster.messages import InvalidInput


async def work(task: LocalTask) -> None:
    if task.name == "fails":
        raise ValueError("no")


async def run_to_the_end(manager: LocalTaskManager, *names: str) -> None:
    for name in names:
        manager.create_task(name, work)
    runner = asyncio.create_task(manager.run_tasks())
    while manager.get_stats()["pending"] or manager.get_stats()["running"]:
        await asyncio.sleep(0.001)
    manager.stop()
    await runner


async def test_async_and_plain_callbacks_hear_everything_in_order() -> None:
    manager = LocalTaskManager(max_concurrent_tasks=1)
    plain: list[tuple[str, str]] = []
    other: list[tuple[str, str]] = []

    async def slowly(task: LocalTask, event_type: str) -> None:
        await asyncio.sleep(0.001)
        other.append((task.name, event_type))

    manager.add_event_callback(lambda task, event_type: plain.append((task.name, event_type)))
    manager.add_event_callback(slowly)
    await run_to_the_end(manager, "a", "fails", "c")
    assert plain == other
    assert plain == [
        ("a", "started"),
        ("a", "completed"),
        ("fails", "started"),
        ("fails", "failed"),
        ("c", "started"),
        ("c", "completed"),
    ]


@pytest.mark.parametrize("fault", [ValueError("oh"), SystemExit(1)], ids=["error", "exit"])
@pytest.mark.parametrize("is_async", [True, False], ids=["async", "plain"])
async def test_a_callback_that_raises_is_told_of_and_hears_the_next_event(
    is_async: bool, fault: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    manager, calls = LocalTaskManager(), []

    def complain(task: LocalTask, event_type: str) -> None:
        calls.append(event_type)
        raise fault

    async def complain_async(task: LocalTask, event_type: str) -> None:
        complain(task, event_type)

    manager.add_event_callback(complain_async if is_async else complain)
    await run_to_the_end(manager, "a")
    assert calls == ["started", "completed"]
    assert caplog.text.count("an event callback raised an exception") == 2
    assert type(fault).__name__ in caplog.text
    assert manager.get_stats()["completed"] == 1


def test_an_async_callback_that_hangs_is_cancelled_and_disturbs_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    others: list[tuple[str, float]] = []

    async def hang(task: LocalTask, event_type: str) -> None:
        await asyncio.sleep(10_000)

    async def hear(task: LocalTask, event_type: str) -> None:
        others.append((event_type, asyncio.get_running_loop().time()))

    async def main() -> None:
        manager = LocalTaskManager()
        manager.add_event_callback(hang)
        manager.add_event_callback(hear)
        manager.create_task("a", work)
        runner = asyncio.create_task(manager.run_tasks())
        await asyncio.sleep(event_callbacks.CALLBACK_LIMIT_S + 1)
        assert others == [("started", 0.0), ("completed", 0.0)]
        manager.stop()
        await runner

    with caplog.at_level(logging.WARNING, "muster"):
        run_in_virtual_time(main())
    assert caplog.text.count("took too long and was cancelled") == 1
    assert "did not get all events" not in caplog.text


async def test_a_plain_callback_that_hangs_is_told_of_and_disturbs_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(event_callbacks, "CALLBACK_LIMIT_S", 0.5)
    monkeypatch.setattr("muster.agents.local.manager.STOPPING_S", 0.05)
    manager, go_on, heard = LocalTaskManager(), threading.Event(), []

    def hang(task: LocalTask, event_type: str) -> None:
        go_on.wait(60)

    manager.add_event_callback(hang)
    manager.add_event_callback(lambda task, event_type: heard.append(event_type))
    manager.create_task("a", work)
    runner = asyncio.create_task(manager.run_tasks())
    deadline = time.monotonic() + 60
    while "has not returned" not in caplog.text:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)
    manager.create_task("b", work)
    while manager.get_stats()["completed"] < 2:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)
    manager.stop()
    await runner
    assert heard == ["started", "completed", "started", "completed"]
    assert "did not get all events" in caplog.text
    assert caplog.text.count("has not returned") == 1
    go_on.set()


async def test_events_beyond_the_bound_are_dropped_and_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(event_callbacks, "MAX_QUEUED_EVENTS", 10)
    monkeypatch.setattr("muster.agents.local.manager.STOPPING_S", 0.01)
    manager = LocalTaskManager()

    async def hang(task: LocalTask, event_type: str) -> None:
        await asyncio.sleep(10)

    manager.add_event_callback(hang)
    await run_to_the_end(manager, *(str(number) for number in range(20)))
    assert caplog.text.count("too slow: events are dropped") == 1
    # One of the 40 was being told.
    assert "events=39" in caplog.text


async def test_a_plain_callback_may_wake_the_loop_through_a_future() -> None:
    manager, loop = LocalTaskManager(), asyncio.get_running_loop()
    done = loop.create_future()

    def tell(task: LocalTask, event_type: str) -> None:
        if event_type == "completed":
            loop.call_soon_threadsafe(done.set_result, task.name)

    manager.add_event_callback(tell)
    manager.create_task("a", work)
    runner = asyncio.create_task(manager.run_tasks())
    assert await asyncio.wait_for(done, 60) == "a"
    manager.stop()
    await runner


async def test_a_callback_that_hung_in_one_run_hears_of_the_next() -> None:
    manager, heard = LocalTaskManager(), []
    manager.add_event_callback(lambda task, event_type: heard.append((task.name, event_type)))
    await run_to_the_end(manager, "a")
    await run_to_the_end(manager, "b")
    assert [name for name, _ in heard] == ["a", "a", "b", "b"]


@pytest.mark.parametrize("callback", [None, "log", 7])
def test_what_cannot_be_called_is_refused(callback: Any) -> None:
    with pytest.raises(InvalidInput, match="is not an event callback"):
        LocalTaskManager().add_event_callback(callback)
