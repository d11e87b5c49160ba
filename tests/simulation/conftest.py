"""A small workload, and what its runs are compared by."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from muster.agents import TaskManager, WorkerAgent
from muster.messages import Task


class SmallStory:
    """Six tasks in two chains on two workers."""

    def manager(self) -> TaskManager:
        tasks = [
            Task(
                id=number,
                description="small",
                difficulty=1 + number % 3,
                timeout=100,
                depends_on=(number - 2,) if number > 2 else (),
            )
            for number in range(1, 7)
        ]
        return TaskManager(tasks, 2, port=0, quiet=True, lost_after_s=4.0)

    def workers(self) -> list[WorkerAgent]:
        return [WorkerAgent("Ada", 9), WorkerAgent("Ben", 9)]

    async def direct(self, manager: TaskManager) -> None:
        """Nothing happens besides."""


@pytest.fixture
def small_story() -> Callable[[], SmallStory]:
    """Makes the small story."""
    return SmallStory
