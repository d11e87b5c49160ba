"""A run, replayed with its own policy, ends as it did; with another one it is estimated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from muster.agents.kernel.board.board import Board
from muster.agents.kernel.board.restoration import read_board
from muster.agents.kernel.matching.policy_names import find_policy
from muster.agents.kernel.model.events import (
    AssigningBegun,
    CancelRequested,
    Event,
    PriorityChanged,
    ResultReceived,
    TasksAdded,
    WorkerJoined,
    WorkerLeft,
)
from muster.agents.kernel.model.occurrences import Occurrence, OccurrenceKind
from muster.agents.kernel.model.records import AttemptOutcome
from muster.agents.kernel.trace import trace_of
from muster.agents.replay.comparison import Comparison, compare, comparison_lines
from muster.agents.replay.expected_outcomes import ExpectedOutcomes
from muster.agents.replay.recorded_run import (
    RecordedAttempt,
    RecordedRun,
    recorded_in_store,
    recorded_in_trace,
)
from muster.agents.replay.replaying import replay_run
from muster.agents.store.sqlite import read_store
from muster.agents.trace.file import read_trace_file
from muster.messages import Task, TaskResult, WorkerProfile

from ..skills.conftest import run


def replayed(recorded: RecordedRun, policy: str) -> Comparison:
    made = find_policy(policy)
    return compare(recorded, replay_run(recorded, made), made.name)


@pytest.mark.parametrize("policy", ["best_fit", "in_order", "score"])
def test_with_its_own_policy_a_run_ends_as_it_did(policy: str, tmp_path: Path) -> None:
    run(policy=policy, store=tmp_path / "run.db", trace=tmp_path / "run.jsonl")
    board = read_board(read_store(tmp_path / "run.db"), now=0.0)
    for recorded in (
        recorded_in_store(board),
        recorded_in_trace(read_trace_file(tmp_path / "run.jsonl").trace),
    ):
        found = replayed(recorded, policy)
        assert found.seen_share == 1.0
        assert found.recorded.model_dump() == pytest.approx(found.replayed.model_dump(), abs=1e-3)
        assert found.recorded.attempts > 10
        assert found.recorded.cost == pytest.approx(found.recorded.attempts * 0.25)


def test_with_its_own_policy_a_run_that_learned_ends_much_as_it_did(tmp_path: Path) -> None:
    run(policy="adaptive", store=tmp_path / "run.db")
    recorded = recorded_in_store(read_board(read_store(tmp_path / "run.db"), now=0.0))
    found = replayed(recorded, "adaptive")
    # A worker reports a little less time than passes until its result arrives, and the policy
    # learns from that; so a close decision may go the other way.
    assert found.seen_share >= 0.8
    assert abs(found.replayed.completed - found.recorded.completed) <= 3


def test_with_another_policy_it_tells_how_much_was_seen(tmp_path: Path) -> None:
    run(policy="in_order", store=tmp_path / "run.db")
    recorded = recorded_in_store(read_board(read_store(tmp_path / "run.db"), now=0.0))
    found = replayed(recorded, "adaptive")
    assert found.recorded_policy == "in_order"
    assert 0 < found.seen_share < 1
    assert found.replayed.completed + found.replayed.failed == 30
    text = "\n".join(comparison_lines(found))
    assert text.startswith("30 tasks, replayed with adaptive: an estimate\n")
    assert f"{found.seen_share:.0%} of the replay's attempts ({found.seen_attempts} of 30)" in text
    again = replayed(recorded, "adaptive")
    assert again == found


class Recording:
    """A board that is driven by hand, one second after the other."""

    def __init__(self) -> None:
        self.board = Board()
        self.now = 0.0
        self.occurrences: list[Occurrence] = []

    def happens(self, *events: Event) -> None:
        for event in events:
            done = self.board.handle(event, self.now)
            self.occurrences += [each for each in done if isinstance(each, Occurrence)]
        self.now += 1.0

    def done(self, task_id: int, worker: str, attempt: int = 1, error: str = "") -> None:
        result = TaskResult(
            task_id=task_id,
            worker=worker,
            success=not error,
            execution_time=1.0,
            error_message=error or None,
            attempt=attempt,
        )
        self.happens(ResultReceived(worker, result))


def joined(name: str, **profile: Any) -> WorkerJoined:
    told = {"skill_level": 5, **profile}
    return WorkerJoined(name, WorkerProfile(name, **told), session=name)


def test_what_came_from_outside_comes_again_at_its_time() -> None:
    recording = Recording()
    tasks = [Task(each, "work", type="t", max_attempts=3) for each in (1, 2, 3, 4, 5)]
    recording.happens(TasksAdded(tuple(tasks[:4])), joined("Ada"), AssigningBegun())
    recording.happens(CancelRequested(2), PriorityChanged(4, 7), joined("Ben"))
    recording.happens(TasksAdded((tasks[4],)))
    recording.done(1, "Ada", error="ValueError: no")
    recording.happens(WorkerLeft("Ben"))
    for recorded in (
        recorded_in_store(recording.board),
        recorded_in_trace(trace_of(recording.board, "boss")),
    ):
        assert recorded.arrivals == {1: 0.0, 2: 0.0, 3: 0.0, 4: 0.0, 5: 2.0}
        assert [(each.at, each.worker, each.is_join) for each in recorded.presences] == [
            (0.0, "Ada", True),
            (1.0, "Ben", True),
            (4.0, "Ben", False),
        ]
        assert recorded.cancels == [(1.0, 2)]
        assert recorded.priorities == [(1.0, 4, 7)]
        assert recorded.began_at == 0.0
        assert recorded.tasks[1].max_attempts == 3
        assert recorded.lost == 1
        assert [
            (each.task_id, each.worker, each.outcome, each.duration_s) for each in recorded.attempts
        ] == [(1, "Ada", AttemptOutcome.FAILED, 3.0)]
        assert recorded.statuses == {2: OccurrenceKind.TASK_CANCELLED}
        found = replayed(recorded, "in_order")
        # What Ben and Ada had under way is expected to end some time.
        assert found.replayed.unsettled == 0
        assert found.replayed.completed + found.replayed.failed == 4


def recorded_of(*attempts: tuple[int, str, bool]) -> RecordedRun:
    """Attempts at tasks of one type, each of a second, and all workers."""
    return RecordedRun(
        tasks={each: Task(each, "work", 5, type="t") for each in range(1, 200)},
        arrivals=dict.fromkeys(range(1, 200), 0.0),
        profiles={name: WorkerProfile(name, 5) for name in ("Ada", "Ben")},
        presences=(),
        attempts=[
            RecordedAttempt(
                task_id,
                1,
                worker,
                AttemptOutcome.SUCCEEDED if success else AttemptOutcome.FAILED,
                float(number),
                number + 1.0,
                "" if success else "ValueError: no",
            )
            for number, (task_id, worker, success) in enumerate(attempts)
        ],
        cancels=(),
        priorities=(),
        began_at=0.0,
        statuses={},
        lost=0,
    )


def test_a_pair_that_was_seen_ends_as_seen_and_others_as_often_as_expected() -> None:
    results = [(task_id, "Ada", task_id % 3 != 0) for task_id in range(1, 100)]
    recorded = recorded_of(*results)
    outcomes = ExpectedOutcomes(recorded)
    board = Board()
    board.handle(joined("Ada"), 0.0)
    ada = board.workers["Ada"]
    for task_id, _, success in results:
        outcome = outcomes.next(recorded.tasks[task_id], ada)
        assert (outcome.is_success, outcome.duration_s, outcome.is_seen) == (success, 1.0, True)
    unseen = [outcomes.next(recorded.tasks[task_id], ada) for task_id in range(100, 200)]
    assert not any(each.is_seen for each in unseen)
    assert 60 <= sum(each.is_success for each in unseen) <= 73
    # They are spread evenly: no long row of either.
    marks = "".join("+" if each.is_success else "-" for each in unseen)
    assert "++++" not in marks
    assert "---" not in marks
    assert all(each.duration_s == pytest.approx(1.0, abs=0.1) for each in unseen)


def test_an_expected_attempt_above_the_timeout_times_out() -> None:
    recorded = recorded_of((1, "Ada", True), (2, "Ada", True))
    board = Board()
    board.handle(joined("Ada"), 0.0)
    task = Task(150, "work", 1, type="t", timeout=0.01)
    outcome = ExpectedOutcomes(recorded).next(task, board.workers["Ada"])
    assert not outcome.is_success
    assert outcome.duration_s == 0.01
    assert outcome.error.startswith("timed out: ")


def test_a_store_without_workers_is_replayed_too() -> None:
    board = Board()
    board.handle(TasksAdded((Task(1, "work"),)), 0.0)
    found = replayed(recorded_in_store(board), "best_fit")
    assert (found.replayed.unsettled, found.replayed.attempts, found.seen_share) == (1, 0, 1.0)
