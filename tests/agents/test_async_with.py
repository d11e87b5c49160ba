"""Managers and workers start with an `async with` block, and stop with it."""

from __future__ import annotations

import asyncio

import pytest
from muster.agents import LocalTask, LocalTaskManager, TaskManager, TaskState, WorkerAgent
from muster.messages import Task


@pytest.mark.ceylon
async def test_a_manager_and_its_worker_start_and_stop_with_their_blocks() -> None:
    worker = WorkerAgent("Ada", 5)

    @worker.task("double")
    async def double(task: Task) -> int:
        return task.data * 2

    async with TaskManager(port=0, quiet=True) as manager:
        worker.join(manager.ticket())
        async with worker:
            result = await manager.submit(Task(type="double", data=2))
        assert worker.is_done()
        assert not manager.board.has_ended
    assert manager.board.has_ended
    assert result.output == 4


async def test_a_local_manager_runs_tasks_within_its_block() -> None:
    ended = asyncio.Event()

    async def work(_: LocalTask) -> int:
        ended.set()
        return 42

    async with LocalTaskManager() as manager:
        task_id = manager.create_task("work", work)
        await ended.wait()
        while (task := manager.get_task(task_id)) is None or not task.state.is_final:
            await asyncio.sleep(0)
        assert task.state is TaskState.COMPLETED
    later = manager.create_task("later", work)
    await asyncio.sleep(0)
    left = manager.get_task(later)
    assert left is not None
    assert left.state is TaskState.PENDING
