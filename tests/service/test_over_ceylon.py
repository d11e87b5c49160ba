"""The service over real Ceylon on loopback; each wait is for a condition, with a deadline."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest
from muster.agents import TaskManager, WorkerAgent
from muster.messages import PortInUse, Task, UnknownTask

pytestmark = pytest.mark.ceylon

DEADLINE_S = 60.0


async def until(condition: Callable[[], bool]) -> None:
    deadline = asyncio.get_running_loop().time() + DEADLINE_S
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it never came"
        await asyncio.sleep(0.01)


def test_started_fed_from_a_thread_asked_and_stopped_by_the_names_of_the_specification() -> None:
    async def story() -> Any:
        manager = TaskManager(num_workers=1, port=0, quiet=True)
        await manager.start()
        worker = WorkerAgent("Ada", 5, ticket=manager.ticket())

        @worker.task("double")
        def double(task: Task) -> int:
            return task.task_data * 2

        await worker.start()
        assert worker.get_worker_status() == "Idle"
        await worker.ping()
        await asyncio.to_thread(manager.add_task, Task(task_id="t", task_data=21, type="double"))
        await until(lambda: manager.get_task_status("t") == "Completed")
        with pytest.raises(UnknownTask):
            manager.get_task_status("u")
        await worker.stop()
        assert worker.get_worker_status() == "Stopped"
        await manager.stop()
        return manager

    manager = asyncio.run(asyncio.wait_for(story(), DEADLINE_S))
    assert manager.get_task_result("t").output == 42
    assert manager.get_all_task_status() == {"t": "Completed"}


def test_workers_can_be_started_together_with_the_service() -> None:
    async def story() -> Any:
        manager = TaskManager(num_workers=2, port=0, quiet=True)
        await manager.start(workers=[WorkerAgent(name, 5, time_scale=0.01) for name in ("A", "B")])
        for number in range(1, 5):
            manager.add_task(Task(task_id=number))
        await until(lambda: set(manager.get_all_task_status().values()) == {"Completed"})
        await manager.stop()

    asyncio.run(asyncio.wait_for(story(), DEADLINE_S))


def test_what_keeps_a_service_from_starting_is_raised_by_start() -> None:
    async def story() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("0.0.0.0", 0))
            with pytest.raises(PortInUse):
                await TaskManager(port=other.getsockname()[1], quiet=True).start()

    asyncio.run(asyncio.wait_for(story(), DEADLINE_S))
