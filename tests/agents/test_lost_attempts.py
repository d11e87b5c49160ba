"""An attempt that its worker lost track of goes on elsewhere, whatever it was lost by."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from muster.agents import MemoryNetwork, TaskManager, WorkerAgent, rehearse, run_in_virtual_time
from muster.agents.execution.task_runner import TaskRunner
from muster.agents.kernel.model.occurrence_text import describe_facts
from muster.agents.kernel.model.occurrences import Occurrence, OccurrenceKind
from muster.agents.simulation.faults import FaultKind
from muster.agents.simulation.runner import Conditions, simulate
from muster.agents.simulation.workload import StressStory
from muster.agents.worker.shell import WorkerShell
from muster.messages import AskAboutAttempts, Task, TaskAssignment, TaskResult, codec
from muster.messages.codec import decode_message, encode_message
from muster.messages.frame import decode_frame


def work(worker: WorkerAgent, seconds: float = 0.5) -> WorkerAgent:
    @worker.task("dig")
    async def dig(_: Task) -> str:
        await asyncio.sleep(seconds)
        return worker.name

    return worker


def manager_of(count: int, **fields: Any) -> TaskManager:
    tasks = [Task(id=n, description=f"t{n}", type="dig") for n in range(1, count + 1)]
    return TaskManager(tasks, fields.pop("workers", 2), quiet=True, **fields)


def lose_the_result(patch: pytest.MonkeyPatch) -> None:
    """The first result of "Ada" is never handed in."""
    hand_in, lost = WorkerShell._hand_in, []

    def losing(shell: WorkerShell, result: TaskResult) -> None:
        if result.worker == "Ada" and not lost:
            lost.append(result)
        else:
            hand_in(shell, result)

    patch.setattr(WorkerShell, "_hand_in", losing)


def lose_the_assignment(patch: pytest.MonkeyPatch) -> None:
    """The first assignment for "Ada" is taken in, and nothing is done about it."""
    take, lost = TaskRunner.take, []

    def losing(jobs: TaskRunner, assignment: TaskAssignment) -> None:
        if assignment.worker == "Ada" and not lost:
            lost.append(assignment)
        else:
            take(jobs, assignment)

    patch.setattr(TaskRunner, "take", losing)


def lose_the_work(patch: pytest.MonkeyPatch) -> None:
    """The first work of "Ada" is taken for done, and ends before its first step."""
    begin, lost = TaskRunner._begin, []

    def losing(jobs: TaskRunner, key: Any, assignment: TaskAssignment) -> None:
        begin(jobs, key, assignment)
        if assignment.worker == "Ada" and not lost:
            lost.append(key)
            job = jobs._jobs[key]
            # Else it would be told that it failed.
            job.has_ended = True
            assert job.work is not None
            job.work.cancel()

    patch.setattr(TaskRunner, "_begin", losing)


@pytest.mark.parametrize("lose", [lose_the_result, lose_the_assignment, lose_the_work])
@pytest.mark.parametrize("names", [("Ada", "Ben"), ("Ada",)])
def test_a_lease_that_nobody_works_on_is_taken_back(
    monkeypatch: pytest.MonkeyPatch,
    lose: Callable[[pytest.MonkeyPatch], None],
    names: tuple[str, ...],
) -> None:
    lose(monkeypatch)

    async def story() -> Any:
        workers = [work(WorkerAgent(name, 5, slots=2)) for name in names]
        manager = manager_of(6, workers=len(names))
        told: list[Occurrence] = []
        manager.watch(told.append)
        report = await asyncio.wait_for(rehearse(manager, workers), 60.0)
        return report, told

    report, told = run_in_virtual_time(story())
    assert report.success_rate == 1.0
    taken_back = [each for each in told if each.what is OccurrenceKind.TASK_REQUEUED]
    assert [describe_facts(each) for each in taken_back] == ["attempt lost: Ada does not hold it"]
    losses = [each for each in report.tasks if each.attempts == 2]
    assert len(losses) == 1


def test_an_assignment_that_its_worker_cannot_read_ends_the_task_and_not_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Secretive(Task):
        """Known to the manager alone."""

    find = codec.find_task_class
    monkeypatch.setattr(
        codec, "find_task_class", lambda kind: None if "Secretive" in kind else find(kind)
    )

    async def story() -> Any:
        worker = work(WorkerAgent("Ada", 5))
        manager = TaskManager(
            [Secretive(id=1, description="x", type="dig"), Task(id=2, description="y", type="dig")],
            1,
            quiet=True,
        )
        return await asyncio.wait_for(rehearse(manager, [worker]), 600.0)

    report = run_in_virtual_time(story())
    assert [each.status.value for each in report.tasks] == ["failed", "completed"]
    assert "does not hold it" in (report.tasks[0].error_message or "")


@pytest.mark.parametrize("work_s", [0.0, 3.0, 45.0])
def test_what_is_worked_on_is_never_taken_back(work_s: float) -> None:
    async def story() -> Any:
        workers = [work(WorkerAgent(name, 5, slots=3), work_s) for name in ("Ada", "Ben")]
        manager = manager_of(40)
        return await rehearse(manager, workers)

    report = run_in_virtual_time(story())
    assert report.success_rate == 1.0
    assert {each.attempts for each in report.tasks} == {1}


def test_an_old_worker_that_does_not_know_the_question_loses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from_manager = WorkerShell._from_manager

    def old(shell: WorkerShell, message: Any) -> None:
        if not isinstance(message, AskAboutAttempts):
            from_manager(shell, message)

    monkeypatch.setattr(WorkerShell, "_from_manager", old)

    async def story() -> Any:
        manager = manager_of(4, workers=1)
        return await rehearse(manager, [work(WorkerAgent("Ada", 5), 30.0)])

    report = run_in_virtual_time(story())
    assert report.success_rate == 1.0
    assert {each.attempts for each in report.tasks} == {1}


def test_slow_and_lossy_lines_do_not_make_work_look_lost() -> None:
    """The witness of each simulated run accuses whoever takes held work for lost."""
    kinds = (FaultKind.LOSS, FaultKind.DELAY, FaultKind.REORDER, FaultKind.PAUSE)
    for seed in range(6):
        outcome = simulate(StressStory(seed), Conditions(seed, kinds, storm_s=30.0))
        assert outcome.breach is None, outcome


def test_the_question_travels() -> None:
    question = AskAboutAttempts(attempts=((1, 2), ("seven", 1)))
    assert decode_message(encode_message(question)) == question


class CutOff:
    """A network that can lose all from and to Ada, and notes when the manager tells her a thing."""

    def __init__(self) -> None:
        self.is_cut = False
        self.told_at: list[float] = []

    def fates(self, sender: str, to: str, frame: bytes, now: float) -> Sequence[float]:
        if sender == "boss" and any(each.to == "ada" for each in decode_frame(frame).sections):
            self.told_at.append(now)
        return () if self.is_cut and "ada" in {sender, to} else (0.0,)


def test_what_a_lost_worker_was_told_in_vain_is_not_sent_again_for_ever() -> None:
    async def story() -> tuple[float, float]:
        line = CutOff()
        network = MemoryNetwork(faults=line)
        manager = manager_of(4, lost_after_s=10.0)
        agents = {"boss": manager}
        for name in ("Ada", "Ben"):
            agents[name.lower()] = work(WorkerAgent(name, 5, admin_peer="boss"), 600.0)
        serving = [
            asyncio.ensure_future(agent.serve_over(network.join(address, agent.receive)))
            for address, agent in agents.items()
        ]
        await asyncio.sleep(1.0)
        line.is_cut = True
        for task_id in (1, 2):
            manager.cancel_task(task_id)
        cut_at = asyncio.get_running_loop().time()
        await asyncio.sleep(60.0)
        for each in serving:
            each.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        return cut_at, line.told_at[-1]

    cut_at, last_told_at = run_in_virtual_time(story())
    assert cut_at < last_told_at < cut_at + 11.0
