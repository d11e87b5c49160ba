"""A handler that does not heed its cancel: worker and manager say what holds the slot."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

import pytest
from muster.agents import TaskManager, WorkerAgent, rehearse, run_in_virtual_time
from muster.messages import Task


@pytest.mark.parametrize("how", ["cancel", "timeout"])
def test_worker_and_manager_warn_once_a_minute_of_a_handler_that_does_not_stop(
    how: str, caplog: pytest.LogCaptureFixture
) -> None:
    worker = WorkerAgent("Ada", 5, slots=2)
    is_let_go = False

    @worker.task("stubborn")
    async def stubborn(_: Task) -> None:
        while not is_let_go:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(1.0)

    limit_s = 10.0 if how == "timeout" else None
    task = Task(id=7, description="x", type="stubborn", timeout=limit_s)
    manager = TaskManager([task, Task(id=8, description="y", type="none such")], 1, quiet=True)
    manager._shell.driver.stay(reassigns_failed=False)

    async def story() -> Any:
        nonlocal is_let_go
        running = asyncio.ensure_future(rehearse(manager, [worker]))
        await asyncio.sleep(10.0)
        if how == "cancel":
            manager.cancel_task(7)
        await asyncio.sleep(69.0)
        why = manager.board.explain(7).lines()
        is_let_go = True
        await asyncio.sleep(200.0)
        manager._shell.end("enough")
        await running
        return why

    with caplog.at_level(logging.WARNING, logger="muster"):
        why = run_in_virtual_time(story())
    happened = "it timed out" if how == "timeout" else "it was cancelled"
    told = [each.getMessage() for each in caplog.records if "still holds a slot" in each.msg]
    assert len(told) == 4, told
    assert {each.partition(", ")[0] for each in told} == {
        "worker 'Ada': task 7 (attempt 1) still holds a slot"
    }
    assert all(each.endswith(f" s after {happened}") for each in told)
    assert any("Ada: task 7 (attempt 1) still holds a slot, 6" in line for line in why)
