"""A handler that blocks the loop is named, and nobody else is blamed for it."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from muster.agents import TaskManager, WorkerAgent, rehearse, run_in_virtual_time
from muster.agents.kernel.model.occurrences import Occurrence, OccurrenceKind
from muster.agents.runtime.clock import now
from muster.agents.runtime.loop_watch import LoopWatch
from muster.messages import Task

DEADLINE_S = 60.0


def nobody(_: asyncio.Task[Any]) -> None:
    """Know no task."""


async def watch_while(block: Callable[[], Any]) -> tuple[float, float]:
    """How late the loop was in all, and how late it was since after it was blocked."""
    watch = LoopWatch.begin(nobody)
    try:
        began_at = now()
        await asyncio.sleep(0.05)
        block()
        after = now()
        # Before the loop has had a turn, and after.
        assert watch.late_since(began_at) > 0.3
        await asyncio.sleep(0.6)
        return watch.late_since(began_at), watch.late_since(after)
    finally:
        watch.end(nobody)


def test_it_tells_how_late_its_loop_was_since_when() -> None:
    late_s, since_then_s = asyncio.run(watch_while(lambda: time.sleep(1.0)))
    assert late_s > 0.3
    # What blocked it before is not counted, however busy the machine was afterwards.
    assert since_then_s <= late_s - 0.3


def test_a_loop_in_virtual_time_is_never_late() -> None:
    async def story() -> float:
        watch = LoopWatch.begin(nobody)
        began_at = now()
        await asyncio.sleep(1_000.0)
        time.sleep(0.01)  # noqa: ASYNC251 - the loop is to be blocked
        watch.end(nobody)
        return watch.late_since(began_at)

    assert run_in_virtual_time(story()) == 0.0


def test_nothing_goes_on_once_nobody_watches() -> None:
    async def story() -> list[asyncio.TimerHandle]:
        watch = LoopWatch.begin(nobody)
        await asyncio.sleep(0)
        watch.end(nobody)
        scheduled: list[asyncio.TimerHandle] = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
        return [each for each in scheduled if not each.cancelled()]

    assert asyncio.run(story()) == []
    deadline = time.monotonic() + DEADLINE_S
    while any(each.name == "muster-loop-watch" for each in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


async def block_at_once(_: Task) -> None:
    time.sleep(3.0)  # noqa: ASYNC251 - the loop is to be blocked


async def block_in_a_task_of_its_own(_: Task) -> None:
    async def inner() -> None:
        await asyncio.sleep(0)
        time.sleep(3.0)  # noqa: ASYNC251 - the loop is to be blocked

    await asyncio.gather(inner())


def run_beside_others(
    block: Callable[[Task], Awaitable[None]],
) -> tuple[Any, list[Occurrence]]:
    worker, others = WorkerAgent("Ada", 5), [WorkerAgent(f"w{n}", 5) for n in range(3)]
    worker.task("block")(block)
    for each in others:
        each.task("other")(block_at_once)
    manager = TaskManager(
        [Task(id=7, description="x", type="block")], 4, quiet=True, lost_after_s=1.0
    )
    told: list[Occurrence] = []
    manager.watch(told.append)
    return asyncio.run(rehearse(manager, [worker, *others])), told


@pytest.mark.slow
@pytest.mark.parametrize("block", [block_at_once, block_in_a_task_of_its_own])
def test_the_culprit_is_named_and_nobody_counts_as_silent(
    block: Callable[[Task], Awaitable[None]], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="muster"):
        report, told = run_beside_others(block)
    assert report.success_rate == 1.0
    assert [each.attempts for each in report.tasks] == [1]
    assert not [each for each in told if each.what is OccurrenceKind.WORKER_LOST]
    lines = [each.getMessage() for each in caplog.records]
    assert not [each for each in lines if "the manager is silent" in each]
    # A busy machine may delay the loop as well; that has another stack.
    blocked = [each for each in lines if "has blocked the event loop" in each]
    culprits = [each for each in blocked if "test_loop_watch.py" in each]
    assert len(culprits) == 1, lines
    if block is block_at_once or sys.version_info >= (3, 12):
        assert culprits[0].startswith(
            "worker 'Ada': task 7 (attempt 1, type 'block') has blocked the event loop"
        )
    name = culprits[0].partition(" has blocked")[0]
    again = [each for each in lines if "the event loop runs again" in each]
    assert len([each for each in again if f"blocked by {name}" in each]) == 1


@pytest.mark.slow
def test_a_manager_that_is_really_silent_is_still_called_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story() -> None:
        from muster.agents import MemoryNetwork

        network = MemoryNetwork()
        manager = TaskManager(
            [Task(id=7, description="x", type="wait")], 1, quiet=True, lost_after_s=1.0
        )
        worker = WorkerAgent("Ada", 5)

        @worker.task("wait")
        async def wait(_: Task) -> None:
            await asyncio.sleep(60.0)

        link = network.join(manager.name, manager.receive)
        managing = asyncio.ensure_future(manager.serve_over(link))
        working = asyncio.ensure_future(
            worker.serve_over(network.join(worker.name, worker.receive))
        )
        deadline = time.monotonic() + DEADLINE_S
        while not worker.has_task:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        link.leave()
        deadline = time.monotonic() + DEADLINE_S
        while not any("the manager is silent" in each.getMessage() for each in caplog.records):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        for future in (managing, working):
            future.cancel()
        await asyncio.gather(managing, working, return_exceptions=True)

    with caplog.at_level(logging.INFO, logger="muster"):
        asyncio.run(story())


@pytest.mark.parametrize(("late_s", "asks"), [(0.0, False), (5.0, False), (20.0, True)])
@pytest.mark.parametrize("from_s", [0.0, 3.0])
def test_a_worker_whose_loop_stood_still_asks_at_once_whether_it_is_lost(
    late_s: float,
    asks: bool,
    from_s: float,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story() -> bool:
        ends_at = now() + from_s + 0.5

        def late_since(_: LoopWatch, at: float) -> float:
            return late_s if at <= ends_at <= now() else 0.0

        monkeypatch.setattr(LoopWatch, "late_since", late_since)
        worker, task = WorkerAgent("Ada", 5), Task(id=1, description="x", type="wait")

        @worker.task("wait")
        async def wait(_: Task) -> bool:
            await asyncio.sleep(from_s + 4.0)
            return any("own event loop was blocked" in each.getMessage() for each in caplog.records)

        report = await rehearse(TaskManager([task], 1, quiet=True), [worker])
        assert [each.attempts for each in report.tasks] == [1]
        return bool(report.tasks[0].output)

    with caplog.at_level(logging.INFO, logger="muster"):
        assert run_in_virtual_time(story()) is asks
    assert not [each for each in caplog.messages if "the manager is silent" in each]
