"""The documents' classes of workers and tasks, whole: members, guards and calls as they have them.

The words are ours, the shapes theirs. Each runs over the memory link, and once over real Ceylon.
"""

from __future__ import annotations

import asyncio
import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from muster.agents import (
    AgentDetail,
    PeerMode,
    TaskManager,
    WorkerAgent,
    on,
    on_connect,
    rehearse,
    run_in_virtual_time,
)
from muster.agents.transport.ceylon_api import DEFAULT_WORKSPACE_ID
from muster.messages import Task, TaskAssignment, TaskResult

DEADLINE_S = 60.0


class HistoricalWorker(WorkerAgent):
    """Document 001: attributes first, a guard, times, a history, a cancel, a broadcast, a finally.

    Its parameter `time` hides the module of that name, and it calls `time.time()`.
    """

    def __init__(
        self,
        name: str,
        skill_level: int,
        workspace_id: str = DEFAULT_WORKSPACE_ID,
        admin_peer: str = "",
    ) -> None:
        self.name = name
        self.skill_level = skill_level
        self.has_task = False
        self.current_task: Task | None = None
        self.task_history: list[TaskResult] = []  # type: ignore[assignment]
        self.turned_away = 0
        self.met: list[str] = []

        super().__init__(
            name=name, workspace_id=workspace_id, admin_peer=admin_peer, mode=PeerMode.CLIENT
        )

    @on(TaskAssignment)
    async def handle_task(  # type: ignore[override]
        self, data: TaskAssignment, time: int, agent: AgentDetail
    ) -> None:
        try:
            if self.has_task:
                self.turned_away += 1
                return
            self.has_task = True
            self.current_task = data.task
            began_at = time.time()  # type: ignore[attr-defined]
            reason = "beyond its skill"
            try:
                await asyncio.sleep(data.task.difficulty * PACE_S)
                success = self.skill_level >= data.task.difficulty
            except asyncio.CancelledError:
                success = False
                reason = "it was cancelled"
            result = TaskResult(
                task_id=data.task.id,
                worker=self.name,
                success=success,
                execution_time=time.time() - began_at,  # type: ignore[attr-defined]
                error_message=None if success else reason,
            )
            self.task_history.append(result)
            await self.broadcast(pickle.dumps(result))
        except Exception:  # noqa: BLE001 - the document logs it
            pass
        finally:
            self.has_task = False
            self.current_task = None

    @on_connect("*")
    async def handle_connection(self, topic: str, agent: AgentDetail) -> None:
        self.met.append(agent.name)


class TutorialWorker(WorkerAgent):
    """Document 002: a guard that is never set back, and a pickled result of three fields."""

    def __init__(
        self,
        name: str,
        skill_level: int,
        workspace_id: str = DEFAULT_WORKSPACE_ID,
        admin_peer: str = "",
    ) -> None:
        self.name = name
        self.skill_level = skill_level
        self.has_task = False
        super().__init__(
            name=name, workspace_id=workspace_id, admin_peer=admin_peer, mode=PeerMode.CLIENT
        )

    @on(TaskAssignment)
    async def handle_task(  # type: ignore[override]
        self, data: TaskAssignment, time: int, agent: AgentDetail
    ) -> None:
        if self.has_task:
            return
        self.has_task = True
        await asyncio.sleep(data.task.difficulty * PACE_S)
        reaches = self.skill_level >= data.task.difficulty
        result = TaskResult(task_id=data.task.id, worker=self.name, success=reaches)
        await self.broadcast(pickle.dumps(result))


class WorkerById(WorkerAgent):
    """Document 000: a worker of an id, which executes a task and returns text."""

    def __init__(self, worker_id: str, skill_level: int = 5, admin_peer: str = "") -> None:
        super().__init__(worker_id, skill_level, admin_peer=admin_peer)
        self.executed: list[Any] = []

    async def execute_task(self, task: Task) -> str:  # type: ignore[override]
        self.executed.append(task.task_id)
        await asyncio.sleep(PACE_S)
        return f"{task.task_data} done"


PACE_S = 0.05
"""How long a step of difficulty lasts here, in seconds."""

TASKS = [
    Task(id=1, description="a sum", difficulty=2),
    Task(id=2, description="a table", difficulty=5),
    Task(id=3, description="a model", difficulty=8),
    Task(id=4, description="another model", difficulty=8),
]
KINDS = [HistoricalWorker, TutorialWorker]


def over_memory(manager: TaskManager, workers: Sequence[WorkerAgent]) -> None:
    run_in_virtual_time(rehearse(manager, workers))


def over_ceylon(manager: TaskManager, workers: Sequence[WorkerAgent]) -> None:
    admin = manager.details()
    for worker in workers:
        worker.admin_peer = admin.id
    asyncio.run(asyncio.wait_for(manager.start_agent(b"", list(workers)), DEADLINE_S))


LINKS = [over_memory, pytest.param(over_ceylon, marks=pytest.mark.ceylon)]


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_documents_worker_does_each_task_once(
    kind: Callable[..., WorkerAgent], link: Callable[..., None]
) -> None:
    manager = TaskManager(TASKS, expected_workers=2, port=0, quiet=True, policy="in_order")
    workers = [kind("Junior", skill_level=3), kind("Senior", skill_level=9)]
    link(manager, workers)
    assert sorted(each.task_id for each in manager.task_results) == [1, 2, 3, 4]
    skills = {worker.name: worker.skill_level for worker in workers}
    for each in manager.task_results:
        assert each.success == (skills[each.worker] >= TASKS[each.task_id - 1].difficulty)
    for worker in workers:
        own = {each.task_id for each in manager.task_results if each.worker == worker.name}
        assert sorted(each.task_id for each in worker.task_history) == sorted(own)
        assert all(each.execution_time > 0 for each in worker.task_history)
        assert (worker.has_task, worker.current_task) == (False, None)
        assert worker.get_worker_status() == "Stopped"
        assert getattr(worker, "turned_away", 0) == 0
        met: list[str] = getattr(worker, "met", [])
        assert len(met) == len(set(met))


def test_001_a_cancel_ends_as_the_document_has_it() -> None:
    manager = TaskManager(
        [Task(1, "endless", 10, timeout=PACE_S)], expected_workers=1, quiet=True, policy="in_order"
    )
    worker = HistoricalWorker("Ada", 9)
    over_memory(manager, [worker])
    assert manager.get_task_status(1) == "Failed"
    assert [each.error_message for each in worker.task_history] == ["it was cancelled"]


@pytest.mark.parametrize("link", LINKS)
def test_000_a_worker_that_executes_tasks_is_given_some(link: Callable[..., None]) -> None:
    tasks = [Task(task_id=f"t-{number}", task_data=number) for number in range(1, 4)]
    manager = TaskManager(tasks, expected_workers=1, port=0, quiet=True)
    worker = WorkerById("w-1")
    link(manager, [worker])
    assert worker.executed == ["t-1", "t-2", "t-3"]
    assert [manager.get_task_result(task.id).output for task in tasks] == [
        "1 done",
        "2 done",
        "3 done",
    ]


# ---------------------------------------------------------------------------- customization


@dataclass
class RankedTask(Task):
    """Document 002: a task with a rank, and a time that follows from it."""

    priority: int

    def get_processing_time(self):  # type: ignore[no-untyped-def]
        return self.difficulty * (1 / self.priority)


class Specialist(TutorialWorker):
    """Document 002: a worker with specialties, which are set after the rest."""

    def __init__(self, name, skill_level, specialties) -> None:  # type: ignore[no-untyped-def]
        super().__init__(name, skill_level)
        self.specialties = specialties

    async def handle_task(self, data: TaskAssignment):  # type: ignore[no-untyped-def,override]
        extra = 2 if data.task.type in self.specialties else 0
        reaches = data.task.difficulty <= self.skill_level + extra
        await self.broadcast(pickle.dumps(TaskResult(data.task.id, self.name, reaches)))


def test_002_a_ranked_task_takes_as_long_as_it_says() -> None:
    tasks = [
        RankedTask(1, "later", 4, 1),
        RankedTask(id=2, description="b", difficulty=4, priority=4),
    ]
    manager = TaskManager(tasks, expected_workers=1, quiet=True)
    over_memory(manager, [WorkerAgent("Ada", 9)])
    assert [(each.task_id, each.execution_time) for each in manager.task_results] == [
        (2, 1.0),
        (1, 4.0),
    ]


@pytest.mark.parametrize("link", LINKS)
def test_002_ranked_tasks_and_specialists_go_together(link: Callable[..., None]) -> None:
    tasks = [
        RankedTask(1, "of its kind", 7, 1, type="paint"),
        RankedTask(2, "of another", 7, 2, type="sing"),
    ]
    manager = TaskManager(tasks, expected_workers=1, port=0, quiet=True, policy="in_order")
    worker = Specialist("Ada", 5, ["paint"])
    link(manager, [worker])
    assert {each.task_id: each.success for each in manager.task_results} == {1: True, 2: False}


def test_001_a_task_validates_itself_as_the_document_has_it() -> None:
    assert Task(1, "a sum", 2).validate() is True
    assert RankedTask(1, "a sum", 2, 3).validate() is True
    began_at = time.time()
    assert TaskAssignment(Task(1, "a sum", 2), int(began_at), 4).timeout == 4
