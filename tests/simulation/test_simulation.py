"""Simulated runs are reproducible, keep every invariant, and report violations."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from muster.agents import WorkerAgent
from muster.agents.command.scenario_finder import built_in_scenarios
from muster.agents.execution.task_runner import TaskRunner
from muster.agents.kernel.board.assigner import Assigner
from muster.agents.kernel.board.board import Board
from muster.agents.kernel.model.instructions import Instruction
from muster.agents.kernel.model.occurrences import OccurrenceKind
from muster.agents.manager.board_driver import BoardDriver
from muster.agents.manager.group_commit import GroupCommit
from muster.agents.simulation import checker
from muster.agents.simulation import runner as simulation
from muster.agents.simulation.checker import InvariantViolation
from muster.agents.simulation.faults import FaultKind
from muster.agents.simulation.runner import Conditions, SimulationOutcome, shrink, simulate
from muster.agents.simulation.workload import StressStory
from muster.agents.worker.manager_session import ManagerSession
from muster.agents.worker.outbox import ResultOutbox
from muster.messages import TaskAssignment, TaskResult

DIGESTS = """
import logging
logging.disable()
from muster.agents.command.scenario_finder import built_in_scenarios
from muster.agents.simulation.runner import Conditions, simulate
from muster.agents.simulation import checker
from muster.agents.simulation.workload import StressStory
calm = [each for each in built_in_scenarios() if not each.needs_the_real_network()]
fewer = {"model_team": ("24",)}
stories = [StressStory(5)] + [each(arguments=fewer.get(each.name(), ())) for each in calm]
for story in stories:
    print(simulate(story, Conditions(5, storm_s=10.0)).digest)
"""

SCENARIOS = [each for each in built_in_scenarios() if not each.needs_the_real_network()]

FEWER = {"model_team": ("24",)}
"""Arguments with which a scenario is shorter than by default."""


def told(outcome: SimulationOutcome) -> str:
    return f"seed {outcome.conditions.seed}: {outcome.violation}\n" + "\n".join(outcome.story)


def first_broken(story: Callable[[int], Any], seeds: range, *kinds: FaultKind) -> SimulationOutcome:
    for seed in seeds:
        outcome = simulate(story(seed), Conditions(seed, kinds, 20.0))
        if outcome.violation is not None:
            return outcome
    raise AssertionError("nothing was noticed")


async def _forget_stray_cancellations(
    self: TaskRunner, job: Any, fault: BaseException
) -> str | None:
    return None if isinstance(fault, asyncio.CancelledError) else "failed"


def _keep_the_slot(self: TaskRunner, key: Any, job: Any, work: Any) -> None:
    job.work = None


# ------------------------------------------------------------------------------- determinism


@pytest.mark.slow
def test_the_same_seed_gives_the_same_run_in_every_process() -> None:
    begun = [
        subprocess.Popen(
            [sys.executable, "-c", DIGESTS],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for hash_seed in ("1", "2")
    ]
    digests = [process.communicate()[0].split() for process in begun]
    assert [process.returncode for process in begun] == [0, 0]
    assert len(digests[0]) == 1 + len(SCENARIOS)
    assert digests[0] == digests[1]


def test_the_same_seed_gives_the_same_run_twice_in_one_process() -> None:
    first, second = (simulate(StressStory(8), Conditions(8, storm_s=20.0)) for _ in range(2))
    assert first == second


def test_another_seed_gives_another_run(small_story: Callable[[], Any]) -> None:
    digests = {simulate(small_story(), Conditions(seed)).digest for seed in range(5)}
    assert len(digests) == 5


# ------------------------------------------------------------------------------- what holds


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.name())
def test_every_scenario_stands_the_storm(scenario: Any) -> None:
    # Where there are many workers, a run has as many faults as two runs of the others. CI has far
    # more of them, by `muster simulate --stress`, and others each time.
    for each in range(1 if scenario.name() in FEWER else 2):
        story = scenario(arguments=FEWER.get(scenario.name(), ()))
        outcome = simulate(story, Conditions(each, storm_s=20.0))
        assert outcome.violation is None, told(outcome)


@pytest.mark.parametrize("kind", FaultKind)
def test_each_kind_alone_happens_and_breaks_nothing(
    kind: FaultKind, small_story: Callable[[], Any]
) -> None:
    outcomes = [simulate(small_story(), Conditions(seed, (kind,))) for seed in range(10)]
    assert all(outcome.violation is None for outcome in outcomes), [told(each) for each in outcomes]
    assert sum(outcome.injected[kind] for outcome in outcomes) > 0
    assert all(set(outcome.injected) <= {kind} for outcome in outcomes)


def test_a_killed_worker_is_lost_and_comes_back(small_story: Callable[[], Any]) -> None:
    story = small_story()
    quiet_s = simulate(story, Conditions(0, ())).lasted_s
    slowest_s = max(
        simulate(story, Conditions(seed, (FaultKind.KILL,))).lasted_s for seed in range(10)
    )
    assert slowest_s > quiet_s + 4.0


# ------------------------------------------------------------------------------- what is noticed


def test_a_worker_that_runs_an_attempt_twice_is_noticed(
    monkeypatch: pytest.MonkeyPatch, small_story: Callable[[], Any]
) -> None:
    begin = TaskRunner.__init__

    def begin_forgetful(
        self: TaskRunner, worker: str, slots: int, perform: Any, *others: Any, **more: Any
    ) -> None:
        async def twice(assignment: TaskAssignment) -> TaskResult:
            await perform(assignment)
            return await perform(assignment)

        begin(self, worker, slots, twice, *others, **more)

    monkeypatch.setattr(TaskRunner, "__init__", begin_forgetful)
    outcome = simulate(small_story(), Conditions(1, ()))
    assert outcome.violation is not None
    assert outcome.violation.invariant == "an attempt runs at most once, on one worker"
    assert outcome.violation.detail == "attempt 1 at task 1 ran at Ben#1 and again at Ben#1"
    assert outcome.story[0].endswith("task_added")


def test_a_board_that_settles_a_task_twice_is_noticed(
    monkeypatch: pytest.MonkeyPatch, small_story: Callable[[], Any]
) -> None:
    handle = Board.handle

    def forgetful(self: Board, event: Any, now: float) -> Any:
        said = handle(self, event, now)
        settled = [
            each for each in said if getattr(each, "what", "") is OccurrenceKind.TASK_COMPLETED
        ]
        return [*said, *settled]

    monkeypatch.setattr(Board, "handle", forgetful)
    outcome = simulate(small_story(), Conditions(1, ()))
    assert outcome.violation is not None
    assert outcome.violation.invariant == "every task is settled exactly once"
    assert outcome.violation.detail == "task 1 was task_completed and then task_completed"


def test_a_board_that_does_not_fit_together_is_noticed(
    monkeypatch: pytest.MonkeyPatch, small_story: Callable[[], Any]
) -> None:
    def untrue(board: Board) -> None:
        raise AssertionError("the counts are wrong")

    monkeypatch.setattr(checker, "check_invariants", untrue)
    outcome = simulate(small_story(), Conditions(1, ()))
    assert outcome.violation == InvariantViolation(
        "the board is consistent", "the counts are wrong"
    )


def test_a_result_that_nobody_worked_for_is_noticed(
    monkeypatch: pytest.MonkeyPatch, small_story: Callable[[], Any]
) -> None:
    begin = TaskRunner.__init__

    async def lazy(assignment: TaskAssignment) -> TaskResult:
        return TaskResult(task_id=assignment.task.id, worker=assignment.worker, success=True)

    def begin_lazy(
        self: TaskRunner, worker: str, slots: int, perform: Any, *others: Any, **more: Any
    ) -> None:
        begin(self, worker, slots, lazy, *others, **more)

    monkeypatch.setattr(TaskRunner, "__init__", begin_lazy)
    outcome = simulate(small_story(), Conditions(1, ()))
    assert outcome.violation is not None
    assert outcome.violation.invariant == (
        "a recorded success was a success of that worker in that attempt"
    )


def test_a_manager_that_acts_before_it_writes_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def add(self: GroupCommit, instructions: Sequence[Instruction]) -> None:
        self._carry_out(deque(instructions))
        self._held_back.extend(instructions)
        self._unwritten += len(instructions)

    def release(self: GroupCommit, last: int) -> None:
        self._held_back.clear()
        self._committed = last

    monkeypatch.setattr(GroupCommit, "add", add)
    monkeypatch.setattr(GroupCommit, "_release", release)
    outcome = first_broken(StressStory, range(29, 60), FaultKind.RESTART)
    assert outcome.violation is not None
    assert (
        outcome.violation.invariant == "a settled task stays settled when the manager is replaced"
    )


@pytest.mark.slow
def test_a_worker_that_forgets_results_with_its_manager_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ResultOutbox, "take_back", lambda self: self._unacknowledged.clear())
    outcome = first_broken(StressStory, range(60), FaultKind.RESTART, FaultKind.LOSS)
    assert outcome.violation is not None
    assert outcome.violation.invariant == (
        "an attempt that a worker holds, or has reported the end of, is not lost"
    )


@pytest.mark.slow
def test_a_run_that_hangs_is_noticed_and_tells_what_waits(
    monkeypatch: pytest.MonkeyPatch, small_story: Callable[[], Any]
) -> None:
    monkeypatch.setattr(Assigner, "assign_waiting", lambda self: None)
    outcome = simulate(small_story(), Conditions(1, ()))
    assert outcome.violation is not None
    assert outcome.violation.invariant == "a run ends once the faults have stopped"
    assert "task 1 waits for a free slot" in outcome.violation.detail


def test_an_assigning_that_begins_nothing_is_an_error_and_no_silent_wait(
    monkeypatch: pytest.MonkeyPatch, small_story: Callable[[], Any]
) -> None:
    monkeypatch.setattr(BoardDriver, "begin_assigning", lambda self: None)
    outcome = simulate(small_story(), Conditions(1, ()))
    assert outcome.violation is not None
    assert outcome.violation.invariant == "the manager does not fail"
    assert "AssigningFailed" in outcome.violation.detail


@pytest.mark.parametrize(
    ("broken", "by", "invariant"),
    [
        ("_explain", _forget_stray_cancellations, "whatever a handler does, its attempt ends in a"),
        ("_end", _keep_the_slot, "an attempt that has ended frees its slot"),
    ],
    ids=["no result", "no slot"],
)
def test_an_attempt_that_ends_unseen_is_noticed(
    monkeypatch: pytest.MonkeyPatch, broken: str, by: Callable[..., Any], invariant: str
) -> None:
    monkeypatch.setattr(simulation, "CALM_S", 120.0)
    monkeypatch.setattr(TaskRunner, broken, by)
    violation = first_broken(StressStory, range(20)).violation
    assert violation is not None
    assert violation.invariant.startswith(invariant)


def test_a_worker_that_breaks_down_is_noticed(
    monkeypatch: pytest.MonkeyPatch, small_story: Callable[[], Any]
) -> None:
    async def fall_over(self: WorkerAgent, *given: Any, **named: Any) -> None:
        raise RuntimeError("over")

    monkeypatch.setattr(WorkerAgent, "serve_over", fall_over)
    outcome = simulate(small_story(), Conditions(1, ()))
    assert outcome.violation is not None
    assert outcome.violation.invariant == "a worker does not fail"


@pytest.mark.slow
def test_a_failing_run_shrinks_to_the_faults_that_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    def deaf_once_silent(self: ManagerSession) -> float:
        return float("inf")

    # A worker that never asks to be let in again, as before admissions were numbered.
    monkeypatch.setattr(ManagerSession, "_manager_received_at", deaf_once_silent)
    monkeypatch.setattr(simulation, "CALM_S", 120.0)
    kinds = (FaultKind.KILL, FaultKind.PARTITION, FaultKind.RESTART)
    broken = first_broken(StressStory, range(200), *kinds)
    shrunk = shrink(StressStory(broken.conditions.seed), broken)
    assert shrunk.violation is not None
    assert broken.violation is not None
    assert shrunk.violation.invariant == broken.violation.invariant
    assert len(shrunk.conditions.kinds) < len(broken.conditions.kinds)
    assert shrunk.conditions.storm_s <= broken.conditions.storm_s
    again = simulate(StressStory(shrunk.conditions.seed), shrunk.conditions)
    assert again == shrunk
