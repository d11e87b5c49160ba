"""Subclasses as users of the documents write them, over real Ceylon."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from muster.agents import AgentDetail, TaskManager, WorkerAgent, on_connect, on_run
from muster.messages import Task, TaskAssignment, TaskResult

pytestmark = pytest.mark.ceylon

DEADLINE_S = 60


class Watchful(TaskManager):
    """Hooks of the user's own beside ours, declared as Ceylon has it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.greeted: list[str] = []
        self.ran_with: list[Any] = []
        self.results: list[tuple[int, bool, str]] = []
        self.timeouts_while_running: dict[Any, float] = {}

    @on_connect("*")
    async def greet(self, topic: str, agent: AgentDetail) -> None:
        self.greeted.append(agent.name)

    @on_run()
    async def look_around(self, inputs: Any) -> None:
        self.ran_with.append(inputs)
        while True:
            self.timeouts_while_running |= self.task_timeouts
            await asyncio.sleep(0.01)

    async def handle_result(self, data: TaskResult, time: int, agent: AgentDetail) -> None:  # type: ignore[override]
        self.results.append((data.task_id, data.success, agent.name))


class Cautious(WorkerAgent):
    """Overrides `handle_task` and leans on ours for the work."""

    seen: str = ""

    async def handle_task(self, data: TaskAssignment, time: int, agent: AgentDetail) -> Any:  # type: ignore[override]
        self.seen = f"{data.task.id} {self.has_task} {self.current_task.id} {agent.name}"
        return await super().handle_task(data, time, agent)


@pytest.fixture(scope="module")
def run() -> tuple[Watchful, list[Cautious]]:
    tasks = [
        Task(id=1, description="Simple calculation", difficulty=2),
        Task(id=2, description="Data analysis", difficulty=5),
    ]
    manager = Watchful(tasks, expected_workers=2, port=0, quiet=True, time_scale=0.05)
    admin = manager.details()
    workers = [
        Cautious("Junior", skill_level=3, admin_peer=admin.id, time_scale=0.05),
        Cautious("Senior", skill_level=9, admin_peer=admin.id, time_scale=0.05),
    ]
    asyncio.run(asyncio.wait_for(manager.start_agent(b"inputs", workers), DEADLINE_S))
    return manager, workers


def test_an_on_connect_handler_hears_of_each_agent_once(run: Any) -> None:
    assert sorted(run[0].greeted) == ["Junior", "Senior"]


def test_an_on_run_handler_gets_the_inputs_unopened(run: Any) -> None:
    assert run[0].ran_with == [b"inputs"]


def test_handle_result_is_told_each_result_and_its_worker(run: Any) -> None:
    assert sorted(run[0].results) == [(1, True, "Junior"), (2, True, "Senior")]


def test_task_timeouts_hold_the_running_leases(run: Any) -> None:
    assert set(run[0].timeouts_while_running) == {1, 2}
    assert run[0].task_timeouts == {}


def test_worker_stats_count_as_the_document_has_it(run: Any) -> None:
    stats = run[0].worker_stats["Senior"]
    assert (stats["completed_tasks"], stats["successful_tasks"], stats["success_rate"]) == (1, 1, 1)
    assert stats["total_time"] == pytest.approx(0.25, abs=0.2)


def test_a_worker_knows_what_it_does_and_remembers_what_it_did(run: Any) -> None:
    junior = run[1][0]
    assert junior.seen == "1 False 1 task_manager"
    assert [(each.task_id, each.success) for each in junior.task_history] == [(1, True)]
    assert not junior.has_task
    assert junior.current_task is None


def test_details_name_the_agents_and_their_roles(run: Any) -> None:
    manager, workers = run
    assert (manager.details().name, manager.details().role) == ("task_manager", "task_manager")
    assert [worker.details().name for worker in workers] == ["Junior", "Senior"]
    assert len({agent.details().id for agent in (manager, *workers)}) == 3
