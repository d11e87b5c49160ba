"""The manager classes of documents 001 and 002, whole, on our `TaskManager`.

They have the members, guards and calls of the documents' classes, in words of our own.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
import time
from collections.abc import Callable
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
from muster.messages import AssigningFailed, Task, TaskAssignment, TaskResult

log = logging.getLogger("the reader's own")

CREW = (("Picker", 3), ("Sorter", 6), ("Taster", 9))


def harvest(count: int = 3) -> list[Task]:
    hard = (2, 5, 8)
    return [Task(id=n + 1, description=f"row {n}", difficulty=hard[n % 3]) for n in range(count)]


class Tutor(TaskManager):
    """Document 002's manager: its `__init__`, connections, assigning and results."""

    def __init__(self, tasks: list[Task], expected_workers: int, name="tutor", port=0):  # type: ignore[no-untyped-def]
        super().__init__(name=name, port=port, mode=PeerMode.ADMIN, role="task_manager")
        self.tasks = tasks
        self.expected_workers = expected_workers
        self.task_results = []
        self.tasks_assigned = False
        self.connections: list[str] = []

    @on_connect("*")
    async def handle_connection(self, topic: str, agent: AgentDetail) -> None:
        self.connections.append(agent.name)
        there = await self.get_connected_agents()
        if len(there) == self.expected_workers and not self.tasks_assigned:
            await self.assign_tasks()

    async def assign_tasks(self) -> None:
        if self.tasks_assigned:
            return
        self.tasks_assigned = True
        for job, _ in zip(self.tasks, await self.get_connected_agents(), strict=False):
            await self.broadcast(pickle.dumps(TaskAssignment(task=job)))

    @on(TaskResult)
    async def handle_result(self, data: TaskResult, time: int, agent: AgentDetail) -> None:  # type: ignore[override]
        self.task_results.append(data)
        if len(self.task_results) == len(self.tasks):
            print("The harvest is in")
            for each in self.task_results:
                word = "well" if each.success else "badly"
                print(f"{each.task_id} went {word} with {each.worker}")
            await self.end_task_management()


class Overseer(TaskManager):
    """Document 001's manager, whole; its matching gives the hardest task to the lowest score."""

    def __init__(self, tasks: list[Task], expected_workers: int, name="overseer", port=0):  # type: ignore[no-untyped-def]
        super().__init__(name=name, port=port, mode=PeerMode.ADMIN, role="task_manager")
        self.tasks = tasks
        self.expected_workers = expected_workers
        self.task_results = []
        self.tasks_assigned = False
        self.worker_stats = {}
        self.task_timeouts = {}
        self.timed_out: list[Any] = []
        self.handed_out: list[Any] = []

    async def assign_tasks(self) -> None:
        if self.tasks_assigned:
            return
        self.tasks_assigned = True
        there = await self.get_connected_agents()
        for _, job in self._match_tasks_to_workers(self.tasks, there):
            order = TaskAssignment(
                task=job, assigned_at=int(time.time()), timeout=job.difficulty * 2
            )
            self.handed_out.append(job.id)
            await self.broadcast(pickle.dumps(order))
            self.task_timeouts[job.id] = asyncio.create_task(  # type: ignore[assignment]
                self._handle_timeout(job.id, order.timeout)  # type: ignore[arg-type]
            )

    async def _handle_timeout(self, task_id: Any, timeout: float) -> None:
        await asyncio.sleep(timeout)
        if task_id not in self.completed_tasks:
            log.warning("job %s took too long", task_id)
            self.timed_out.append(task_id)

    def _match_tasks_to_workers(self, tasks: Any, workers: Any) -> Any:
        hardest_first = sorted(tasks, key=lambda job: job.difficulty, reverse=True)
        lowest_first = sorted(workers, key=lambda one: self._get_worker_score(one))  # noqa: PLW0108
        return [(one, job) for job, one in zip(hardest_first, lowest_first, strict=False)]

    def _get_worker_score(self, worker: AgentDetail) -> float:
        known: Any = self.worker_stats.get(worker.name, {})
        return known.get("success_rate", 0.5) * 0.7 + known.get("completed_tasks", 0) * 0.3

    @on(TaskResult)
    async def handle_result(self, data: TaskResult, time: int, agent: AgentDetail) -> None:  # type: ignore[override]
        if data.task_id in self.task_timeouts:
            timer: Any = self.task_timeouts[data.task_id]
            timer.cancel()
        self.task_results.append(data)
        self._update_worker_stats(data)
        if len(self.task_results) == len(self.tasks):
            await self._generate_final_report()
            await self.end_task_management()

    def _update_worker_stats(self, result: TaskResult) -> None:
        if result.worker not in self.worker_stats:
            self.worker_stats[result.worker] = {  # type: ignore[typeddict-item]
                "completed_tasks": 0,
                "successful_tasks": 0,
                "total_time": 0,
            }
        mine = self.worker_stats[result.worker]
        mine["completed_tasks"] += 1
        if result.success:
            mine["successful_tasks"] += 1
        mine["total_time"] += result.execution_time
        mine["success_rate"] = mine["successful_tasks"] / mine["completed_tasks"]


def over_memory(manager: Callable[[], Any], worker: Any = WorkerAgent) -> Any:
    async def go() -> Any:
        made = manager()
        await rehearse(made, [worker(name, skill) for name, skill in CREW])
        return made

    return run_in_virtual_time(go())


def over_ceylon(manager: Callable[[], Any], worker: Any = WorkerAgent) -> Any:
    async def go() -> Any:
        made = manager()
        peer = made.details().id
        crew = [worker(name, skill, admin_peer=peer, time_scale=0.05) for name, skill in CREW]
        await asyncio.wait_for(made.start_agent(b"", crew), 60)
        return made

    return asyncio.run(go())


EVERYWHERE = [over_memory, pytest.param(over_ceylon, marks=pytest.mark.ceylon)]


@pytest.mark.parametrize("play", EVERYWHERE)
def test_002_the_managers_blocks_together_do_the_tutorials_work(
    play: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    manager = play(lambda: Tutor(harvest(), 3))
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "The harvest is in"
    assert sorted(told[1:-1]) == [
        "1 went well with Picker",
        "2 went well with Sorter",
        "3 went well with Taster",
    ]
    assert told[-1] == "Success rate: 100.00%"
    assert [result.success for result in manager.task_results] == [True] * 3
    if play is over_ceylon:
        assert sorted(manager.connections) == ["Picker", "Sorter", "Taster"]


@pytest.mark.parametrize("play", EVERYWHERE)
def test_002_more_tasks_than_workers_are_all_done_once(
    play: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    manager = play(lambda: Tutor(harvest(8), 3))
    assert set(manager.get_all_task_status().values()) == {"Completed"}
    assert sorted(result.task_id for result in manager.task_results) == list(range(1, 9))
    assert capsys.readouterr().out.count("The harvest is in") == 1


@pytest.mark.parametrize("play", EVERYWHERE)
def test_001_the_managers_class_decides_counts_and_reports_as_it_says(
    play: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    manager = play(lambda: Overseer(harvest(), 3))
    assert manager.handed_out == [3, 2, 1]
    first, second, third = (manager.get_task_result(each).worker for each in (3, 2, 1))
    assert {first, second, third} == {"Picker", "Sorter", "Taster"}
    if play is over_memory:
        assert (first, second, third) == ("Picker", "Sorter", "Taster")
        assert [manager.get_task_status(each) for each in (3, 2, 1)] == [
            "Failed",
            "Completed",
            "Completed",
        ]
    stats = manager.worker_stats
    assert {name: each["completed_tasks"] for name, each in stats.items()} == {
        "Picker": 1,
        "Sorter": 1,
        "Taster": 1,
    }
    assert all(
        set(each) == {"completed_tasks", "successful_tasks", "total_time", "success_rate"}
        for each in stats.values()
    )
    assert manager.timed_out == []
    assert all(timer.cancelled() for timer in manager.task_timeouts.values())
    told = capsys.readouterr().out
    done = sum(each["successful_tasks"] for each in stats.values())
    # Who gets which task, and so how many fail, depends on who joins first.
    settled = "completed" if done == 3 else f"settled: {done} completed, {3 - done} failed"
    assert told.count(f"All tasks {settled}\n") == 1
    assert told.count("Success rate:") == 1


def test_001_more_tasks_than_workers_are_matched_as_workers_get_free() -> None:
    manager = over_memory(lambda: Overseer(harvest(9), 3))
    assert sorted(result.task_id for result in manager.task_results) == list(range(1, 10))
    assert sum(each["completed_tasks"] for each in manager.worker_stats.values()) == 9


class Stuck(WorkerAgent):
    async def handle_task(self, data: TaskAssignment) -> bool:  # type: ignore[override]
        await asyncio.sleep(3_600 if data.task.id == 2 else 1)
        return True


def test_001_a_timeout_is_handled_by_its_block_and_the_task_has_failed() -> None:
    manager = over_memory(lambda: Overseer(harvest(), 3), Stuck)
    assert manager.timed_out == [2]
    assert manager.get_task_result(2).error_message == "timed out: after 10 s"
    stats = manager.worker_stats[manager.get_task_result(2).worker]
    assert (stats["completed_tasks"], stats["success_rate"]) == (1, 0.0)


BLOCKS = [
    (kind, block)
    for kind in (Tutor, Overseer)
    for block in vars(kind)
    if callable(vars(kind)[block]) and block != "__init__"
]


@pytest.mark.parametrize(("kind", "block"), BLOCKS)
def test_each_block_works_alone(kind: type[Any], block: str) -> None:
    noted = {"handed_out": [], "timed_out": [], "connections": []}
    lone = type("Lone", (TaskManager,), {block: vars(kind)[block], **noted})
    manager = over_memory(lambda: lone(harvest(5), 3, quiet=True))
    assert sorted(result.task_id for result in manager.task_results) == [1, 2, 3, 4, 5]


class Recoverer(Tutor):
    """Calls document 001's recovery for what fails, before it counts the results."""

    async def assign_tasks(self) -> None:
        # The less skilled, at whom it fails.
        await self.broadcast(pickle.dumps(TaskAssignment(task=self.tasks[0], worker="Picker")))

    async def handle_result(self, data: TaskResult, time: int, agent: AgentDetail) -> None:  # type: ignore[override]
        failed = next(job for job in self.tasks if job.id == data.task_id)
        await self.recover_failed_task(failed, data)
        await super().handle_result(data, time, agent)


def test_001_the_last_failure_is_recovered_before_the_run_ends() -> None:
    manager = over_memory(lambda: Recoverer([harvest()[2]], 3))
    assert manager.get_all_task_status() == {3: "Failed", "3-recovery-1": "Completed"}
    assert manager.get_task_result("3-recovery-1").worker == "Taster"
    assert len(manager.task_results) == len(manager.tasks) == 2


def test_a_block_that_hands_out_nothing_says_so() -> None:
    class Guarded(Tutor):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            self.tasks_assigned = True

    with pytest.raises(AssigningFailed, match="3 of 3 tasks are not assigned"):
        over_memory(lambda: Guarded(harvest(), 3))
