"""A manager and workers as services, over a memory link in place of Ceylon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents import MemoryNetwork, TaskManager, WorkerAgent
from muster.agents.simulation.memory_network import SeededFaults


class _Hall:
    """Makes agents whose `start` and `start_agent` go over one memory network."""

    def __init__(self) -> None:
        self.faults = SeededFaults(0)
        self.network = MemoryNetwork(faults=self.faults)

    def manager(self, **options: Any) -> TaskManager:
        return self.settle(TaskManager(quiet=True, **options))

    def worker(self, name: str, skill: int = 5, **options: Any) -> WorkerAgent:
        return self.settle(WorkerAgent(name, skill, **options))

    def settle(self, agent: Any) -> Any:
        async def start_agent(*_: Any) -> None:
            await agent.serve_over(self.network.join(agent.name, agent.receive))

        agent.start_agent = start_agent
        return agent


@pytest.fixture
def hall() -> Callable[[], _Hall]:
    """Makes a place to meet, in the loop that is running."""
    return _Hall
