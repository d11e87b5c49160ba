"""The classes of the first three documents, used as their readers would type them.

Only the import lines differ from the documents': `muster.agents` and `muster.messages` take the
place of `ceylon` and of the classes that the documents define.
"""

from __future__ import annotations

import asyncio
import pickle
import time
from collections.abc import Callable
from typing import Any

import pytest
from muster.agents import (
    AgentDetail,
    SpecializedWorker,
    TaskManager,
    WorkerAgent,
    on,
    on_connect,
    rehearse,
    run_in_virtual_time,
)
from muster.messages import (
    PriorityTask,
    Task,
    TaskAssignment,
    TaskResult,
    TaskStatus,
    validate_task,
)

TUTORIAL_TASKS = [
    Task(id=1, description="Simple calculation", difficulty=2),
    Task(id=2, description="Data analysis", difficulty=5),
    Task(id=3, description="ML model training", difficulty=8),
]
CREW = [("Junior", 3), ("Intermediate", 6), ("Senior", 9)]


# ---------------------------------------------------------------------------- 001: data models


def test_001_a_task_has_an_id_a_description_and_a_difficulty_and_validates() -> None:
    task = Task(id=1, description="Simple calculation", difficulty=2)
    assert task.validate() is True
    assert validate_task(task) is True
    assert (task.id, task.description, task.difficulty) == (1, "Simple calculation", 2)


def test_001_assignment_and_result_take_the_documents_fields() -> None:
    task = Task(id=1, description="Simple calculation", difficulty=2)
    assignment = TaskAssignment(task=task, assigned_at=int(time.time()), timeout=4)
    result = TaskResult(
        task_id=assignment.task.id,
        worker="Junior",
        success=False,
        execution_time=2.0,
        error_message="Task cancelled",
    )
    assert (assignment.task, assignment.timeout) == (task, 4)
    assert TaskAssignment(task=task).timeout is None
    assert (result.task_id, result.error_message) == (1, "Task cancelled")
    assert TaskResult(task_id=1, worker="Junior", success=True).error_message is None


# ---------------------------------------------------------------------------- 002: the tutorial


class TypedWorker(WorkerAgent):
    """A `handle_task` with the tutorial's decorator and pickled broadcast."""

    @on(TaskAssignment)
    async def handle_task(self, data: TaskAssignment, time: int, agent: AgentDetail) -> None:  # type: ignore[override]
        await asyncio.sleep(data.task.difficulty)
        reaches = data.task.difficulty <= self.skill_level
        done = TaskResult(task_id=data.task.id, worker=self.name, success=reaches)
        await self.broadcast(pickle.dumps(done))


class TypedManager(TaskManager):
    """The tutorial's hooks, with its decorators; `test_manager_blocks.py` has them whole."""

    greeted: list[str]

    @on_connect("*")
    async def handle_connection(self, topic: str, agent: AgentDetail) -> None:
        self.greeted.append(agent.name)

    async def assign_tasks(self) -> None:
        if self.tasks_assigned:
            return
        await super().assign_tasks()

    @on(TaskResult)
    async def handle_result(self, data: TaskResult, time: int, agent: AgentDetail) -> None:  # type: ignore[override]
        print(f"Task {data.task_id} from {agent.name}: {data.success}")


def test_002_the_tutorials_classes_typed_out_do_the_tutorials_work(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def main() -> TypedManager:
        task_manager = TypedManager(TUTORIAL_TASKS, expected_workers=3)
        workers = [TypedWorker(name, skill_level=skill) for name, skill in CREW]
        await rehearse(task_manager, workers)
        return task_manager

    manager = run_in_virtual_time(main())
    assert manager.tasks_assigned
    assert [result.success for result in manager.task_results] == [True, True, True]
    told = capsys.readouterr().out.splitlines()
    assert sorted(told[:3]) == [
        "Task 1 from Junior: True",
        "Task 2 from Intermediate: True",
        "Task 3 from Senior: True",
    ]
    assert told[3:] == [
        "All tasks completed",
        "Task 1 assigned to Junior - Success",
        "Task 2 assigned to Intermediate - Success",
        "Task 3 assigned to Senior - Success",
        "Success rate: 100.00%",
    ]


@pytest.mark.ceylon
def test_002_connections_are_handled_and_workers_found_over_ceylon() -> None:
    tasks = [Task(id=1, description="Simple calculation", difficulty=1)]

    async def main() -> TypedManager:
        task_manager = TypedManager(tasks, expected_workers=1, port=0, quiet=True)
        task_manager.greeted = []
        admin_details = task_manager.details()
        workers = [
            WorkerAgent("Junior", skill_level=3, admin_peer=admin_details.id, time_scale=0.1)
        ]
        await asyncio.wait_for(task_manager.start_agent(b"", workers), 60)
        assert len(await task_manager.get_connected_agents()) == 1
        return task_manager

    manager = asyncio.run(main())
    # Ceylon's decorator and our hook of the same name are one.
    assert manager.greeted == ["Junior"]
    assert manager.completed_tasks == {1}


class UrgentTask(Task):
    """The tutorial's priority task as its reader would write it, on our `Task`."""

    priority: int

    def get_processing_time(self) -> float:
        return self.difficulty / self.priority


@pytest.mark.parametrize("kind", [UrgentTask, PriorityTask])
def test_002_the_more_urgent_task_comes_first_and_takes_less_time(kind: type[Task]) -> None:
    async def main() -> Any:
        tasks = [
            kind(id=1, description="later", difficulty=4, priority=1),
            kind(id=2, description="sooner", difficulty=4, priority=4),
        ]
        manager = TaskManager(tasks, expected_workers=1, quiet=True)
        await rehearse(manager, [WorkerAgent("Ada", 9)])
        return manager.task_results

    results = run_in_virtual_time(main())
    assert [(result.task_id, result.execution_time) for result in results] == [(2, 1.0), (1, 4.0)]


class OwnSpecializedWorker(WorkerAgent):
    """The tutorial's specialized worker, with the rest of its implementation filled in."""

    def __init__(self, name: str, skill_level: int, specialties: list[str]) -> None:
        super().__init__(name, skill_level)
        self.specialties = specialties

    async def handle_task(self, data: TaskAssignment) -> bool:  # type: ignore[override]
        extra = 2 * (data.task.type in self.specialties)
        return data.task.difficulty <= self.skill_level + extra


@pytest.mark.parametrize("kind", [OwnSpecializedWorker, SpecializedWorker])
def test_002_a_specialty_counts_for_two_levels_of_skill(kind: Callable[..., WorkerAgent]) -> None:
    async def main() -> Any:
        tasks = [
            Task(id=1, description="of its kind", difficulty=7, type="paint"),
            Task(id=2, description="of another", difficulty=7, type="sing"),
        ]
        manager = TaskManager(tasks, expected_workers=1, quiet=True, unmatched_after_s=5)
        await rehearse(manager, [kind("Ada", 5, ["paint"])])
        return manager

    manager = run_in_virtual_time(main())
    assert manager.get_all_task_status() == {1: "Completed", 2: "Failed"}


# ---------------------------------------------------------------------------- 001: worker, manager


def test_001_a_worker_knows_its_task_and_its_history() -> None:
    seen: list[Any] = []

    class Reader(WorkerAgent):
        async def handle_task(self, data: TaskAssignment) -> bool:  # type: ignore[override]
            assert self.current_task is not None
            seen.append((self.has_task, self.current_task.id, list(self.task_history)))
            return True

    async def main() -> Any:
        worker = Reader("Ada", skill_level=5)
        assert (worker.has_task, worker.current_task, list(worker.task_history)) == (
            False,
            None,
            [],
        )
        await rehearse(TaskManager(TUTORIAL_TASKS[:1], 1, quiet=True), [worker])
        return worker

    worker = run_in_virtual_time(main())
    # The attempt that asks does not count.
    assert seen == [(False, 1, [])]
    assert [(result.task_id, result.worker) for result in worker.task_history] == [(1, "Ada")]
    assert (worker.has_task, worker.current_task) == (False, None)


def test_001_an_assignment_times_out_after_twice_its_difficulty_and_counts_in_the_statistics() -> (
    None
):
    class Stuck(WorkerAgent):
        async def handle_task(self, data: TaskAssignment) -> bool:  # type: ignore[override]
            assert data.timeout == data.task.difficulty * 2
            await asyncio.sleep(3_600)
            return True

    async def main() -> Any:
        manager = TaskManager(TUTORIAL_TASKS[1:2], 1, quiet=True)
        await rehearse(manager, [Stuck("Ada", skill_level=9)])
        return manager

    manager = run_in_virtual_time(main())
    assert manager.get_task_status(2) == "Failed"
    assert manager.get_task_result(2).error_message == "timed out: after 10 s"
    assert manager.worker_stats["Ada"]["success_rate"] == 0.0
    assert manager.worker_stats["Ada"]["completed_tasks"] == 1


def test_001_the_documents_own_policy_and_statistics_can_be_chosen() -> None:
    async def main() -> Any:
        manager = TaskManager(TUTORIAL_TASKS, expected_workers=3, policy="score", quiet=True)
        await rehearse(manager, [WorkerAgent(name, skill) for name, skill in CREW])
        return manager

    manager = run_in_virtual_time(main())
    # The hardest to the first of the untried, whatever its skill: it fails.
    assert manager.get_task_status(3) == "Failed"
    assert manager.get_task_result(3).worker == "Junior"
    stats = manager.worker_stats["Senior"]
    assert set(stats) == {"completed_tasks", "successful_tasks", "total_time", "success_rate"}


def test_000_a_result_is_stored_and_the_status_is_one_of_five() -> None:
    assert [status.label for status in dict.fromkeys(TaskStatus)] == [
        "Pending",
        "In Progress",
        "Completed",
        "Failed",
        "Cancelled",
    ]
