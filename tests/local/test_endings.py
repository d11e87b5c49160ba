"""However a local task ends, it is settled, and its slot is freed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from muster.agents import LocalTask, LocalTaskManager, TaskState, run_in_virtual_time
from muster.agents.simulation.handler_endings import COROUTINE_ENDINGS, PLAIN_ENDINGS, SUCCEEDING

ENDINGS = {each.__name__: each for each in (*PLAIN_ENDINGS, *COROUTINE_ENDINGS)}


@pytest.mark.parametrize("way", ENDINGS)
def test_a_task_that_ends_in_any_way_is_settled_and_others_go_on(way: str) -> None:
    async def end(task: LocalTask) -> Any:
        outcome: Any = ENDINGS[way](task)  # type: ignore[arg-type]
        return await outcome if asyncio.iscoroutine(outcome) else outcome

    async def after(task: LocalTask) -> str:
        return "done"

    async def main() -> tuple[LocalTask, LocalTask]:
        manager = LocalTaskManager(max_concurrent_tasks=1)
        first = manager.get_task(manager.create_task(way, end))
        second = manager.get_task(manager.create_task("after", after))
        running = asyncio.ensure_future(manager.run_tasks())
        await asyncio.sleep(100)
        manager.stop()
        await running
        assert first is not None
        assert second is not None
        return first, second

    first, second = run_in_virtual_time(main())
    assert second.state is TaskState.COMPLETED
    if way in SUCCEEDING or way.startswith("returns_"):
        assert first.state in {TaskState.COMPLETED, TaskState.CANCELLED}
    else:
        assert first.state in {TaskState.FAILED, TaskState.CANCELLED}
        assert first.error or first.state is TaskState.CANCELLED
