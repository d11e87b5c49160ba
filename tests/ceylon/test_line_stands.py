"""What a worker's greeting leans on: Ceylon makes the admin known once it can be heard."""

from __future__ import annotations

import asyncio

import pytest
from muster.agents import TaskManager, WorkerAgent
from muster.messages import Task

pytestmark = pytest.mark.ceylon

DEADLINE_S = 180.0


class Observant(WorkerAgent):
    """Notes who made itself known, and what it was doing then."""

    seen: list[tuple[str, str]]

    def member_appeared(self, address: str) -> None:
        self.seen.append((address, self.get_worker_status()))
        super().member_appeared(address)


def test_the_manager_makes_itself_known_before_it_lets_a_worker_in() -> None:
    async def story() -> tuple[TaskManager, Observant]:
        manager = TaskManager([Task(task_id=1)], 1, port=0, quiet=True, time_scale=0.01)
        worker = Observant("Ada", 5, ticket=manager.ticket(), time_scale=0.01)
        worker.seen = []
        await asyncio.wait_for(
            asyncio.gather(manager.start_agent(b""), worker.start_agent()), DEADLINE_S
        )
        return manager, worker

    manager, worker = asyncio.run(story())
    assert worker.seen[0] == (manager.details().id, "Connecting")
    assert manager.report().success_rate == 1.0
