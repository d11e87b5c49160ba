"""Functions that a `LocalTaskManager` calls with arguments."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from muster.agents import Handlers, LocalTask, LocalTaskManager, run_in_virtual_time
from muster.messages import InvalidInput, TaskStatus, WrongCall

handlers = Handlers()


@handlers.task
def add(x: int, y: int = 3) -> tuple[int, str]:
    return x + y, threading.current_thread().name


@handlers.task
async def wait(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


async def settled(*tasks: LocalTask) -> list[Any]:
    while not all(task.state.is_final for task in tasks):
        await asyncio.sleep(0.01)
    return [task.unwrap() for task in tasks]


async def test_functions_of_all_kinds_are_called_with_their_arguments() -> None:
    async with LocalTaskManager() as manager:
        tasks = [
            manager.submit(add, 1, y=2),
            manager.submit(wait, 0.01),
            manager.submit(lambda x: wait(x / 2), 0.04),
            manager.submit(divmod, 7, 2),
            add.with_options(priority=5).submit(1),
        ]
        assert [task.priority for task in tasks] == [0, 0, 0, 0, 5]
        plain, *others, last = await asyncio.wait_for(settled(*tasks), 60)
        assert [task.name for task in tasks[:2]] == ["add", "wait"]
    assert plain[0] == 3
    assert plain[1] != threading.current_thread().name
    assert others == [0.01, 0.02, (3, 1)]
    assert last[0] == 4


def test_a_call_is_cancelled_as_any_task() -> None:
    async def story() -> TaskStatus:
        async with LocalTaskManager() as manager:
            task = manager.submit(wait, 1000)
            await asyncio.sleep(1)
            manager.cancel_task(task.id)
            await asyncio.sleep(1)
            return task.state

    assert run_in_virtual_time(story()) is TaskStatus.CANCELLED


def test_what_can_not_be_called_is_refused() -> None:
    manager = LocalTaskManager()
    with pytest.raises(WrongCall, match=r"add\(\): x: 'one'"):
        manager.submit(add, "one")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="no option 'timeout', only 'priority'"):
        manager.submit(add.with_options(timeout=5), 1)
    with pytest.raises(InvalidInput, match="5 is not a function"):
        manager.submit(5)  # type: ignore[arg-type]
    assert manager.list_tasks() == []
