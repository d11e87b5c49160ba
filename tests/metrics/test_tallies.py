"""The counts of attempts that were prefetched, came late, or never began."""

from __future__ import annotations

import pytest
from muster.agents.kernel.board.state import BoardState
from muster.agents.kernel.model.occurrences import Occurrence, OccurrenceKind
from muster.agents.kernel.model.records import Attempt, AttemptOutcome, TaskRecord, WorkerRecord
from muster.agents.metrics.tallies import MetricTallies
from muster.messages import Task, WorkerProfile

ADA = WorkerRecord(WorkerProfile("Ada", 5), "at Ada", "1", 0, 0.0, 0.0)


@pytest.fixture
def record() -> TaskRecord:
    """A task that was added at 100."""
    return TaskRecord(1, Task(task_id=1), 0, added_at=100.0)


@pytest.fixture
def board(record: TaskRecord) -> BoardState:
    """A board with that task."""
    made = BoardState()
    made.task_registry.by_id[1] = record
    return made


def attempt(
    record: TaskRecord,
    began: float,
    ended: float | None = None,
    ending: AttemptOutcome | None = None,
    expected_s: float = 0.0,
) -> None:
    record.attempts.append(
        Attempt(
            *(len(record.attempts) + 1, ADA, record, began, None, None),
            outcome=ending,
            ended_at=ended,
            expected_s=expected_s,
        )
    )


def test_what_was_sent_ahead_waits_until_there_is_a_slot(
    record: TaskRecord, board: BoardState
) -> None:
    tallies = MetricTallies()
    # It was assigned at 100, and began at 107.
    attempt(record, 107.0, 109.0, AttemptOutcome.SUCCEEDED, expected_s=2.0)
    tallies.note(Occurrence(100.0, OccurrenceKind.TASK_ASSIGNED, 1, 1, "Ada"), board)
    assert tallies.waits.buckets()[-1][1] == 0
    tallies.note(Occurrence(109.0, OccurrenceKind.TASK_COMPLETED, 1, 1, "Ada"), board)
    assert (tallies.waits.buckets()[-1][1], tallies.waits.sum_s) == (1, 7.0)
    assert tallies.attempts[AttemptOutcome.SUCCEEDED].sum_s == 2.0


def test_what_was_given_back_goes_on_waiting(record: TaskRecord, board: BoardState) -> None:
    tallies = MetricTallies()
    attempt(record, 100.0, 104.0, AttemptOutcome.NOT_BEGUN, expected_s=2.0)
    tallies.note(Occurrence(100.0, OccurrenceKind.TASK_ASSIGNED, 1, 1, "Ada"), board)
    tallies.note(Occurrence(104.0, OccurrenceKind.TASK_REQUEUED, 1, 1, "Ada"), board)
    attempt(record, 105.0)
    tallies.note(Occurrence(105.0, OccurrenceKind.TASK_ASSIGNED, 1, 2, "Ada"), board)
    assert (tallies.waits.buckets()[-1][1], tallies.waits.sum_s) == (1, 5.0)
    assert sum(each.buckets()[-1][1] for each in tallies.attempts.values()) == 0


def test_a_late_success_overtakes_the_attempt_that_runs(
    record: TaskRecord, board: BoardState
) -> None:
    tallies = MetricTallies()
    attempt(record, 100.0, 103.0, AttemptOutcome.TIMED_OUT)
    tallies.note(Occurrence(103.0, OccurrenceKind.ATTEMPT_TIMED_OUT, 1, 1, "Ada"), board)
    tallies.note(Occurrence(103.0, OccurrenceKind.TASK_REQUEUED, 1, 1), board)
    attempt(record, 104.0, 105.0, AttemptOutcome.OVERTAKEN)
    tallies.note(Occurrence(105.0, OccurrenceKind.TASK_COMPLETED, 1, 1, "Ada"), board)
    counted = {ending: each.sum_s for ending, each in tallies.attempts.items() if each.sum_s}
    assert counted == {AttemptOutcome.TIMED_OUT: 3.0, AttemptOutcome.OVERTAKEN: 1.0}
    assert tallies.retries == {AttemptOutcome.TIMED_OUT: 1}


def test_what_is_forgotten_or_unknown_is_passed_over(board: BoardState) -> None:
    tallies = MetricTallies()
    tallies.note(Occurrence(1.0, OccurrenceKind.TASK_COMPLETED, 99, 1, "Ada"), board)
    tallies.note(Occurrence(1.0, OccurrenceKind.TASK_ASSIGNED, 1, 5, "Ada"), board)
    assert tallies.settled == {OccurrenceKind.TASK_COMPLETED: 1}
    assert tallies.waits.buckets()[-1][1] == 0


@pytest.mark.parametrize(
    ("occurrences", "counted"),
    [
        ([OccurrenceKind.TASK_COMPLETED], AttemptOutcome.SUCCEEDED),
        ([OccurrenceKind.ATTEMPT_REJECTED, OccurrenceKind.TASK_REQUEUED], AttemptOutcome.REJECTED),
        ([OccurrenceKind.ATTEMPT_REJECTED, OccurrenceKind.TASK_FAILED], AttemptOutcome.REJECTED),
        ([OccurrenceKind.TASK_FAILED], AttemptOutcome.SUCCEEDED),
        ([OccurrenceKind.TASK_CANCELLED], AttemptOutcome.SUCCEEDED),
    ],
    ids=lambda given: "" if isinstance(given, AttemptOutcome) else ", ".join(given),
)
def test_an_attempt_with_a_review_counts_once_and_as_the_review_decides(
    occurrences: list[OccurrenceKind], counted: AttemptOutcome
) -> None:
    record = TaskRecord(1, Task(task_id=1, type="write", review=True), 0, added_at=100.0)
    board = BoardState()
    board.task_registry.by_id[1] = record
    tallies = MetricTallies()
    attempt(record, 100.0, 103.0, AttemptOutcome.SUCCEEDED)
    tallies.note(Occurrence(103.0, OccurrenceKind.ATTEMPT_SUCCEEDED, 1, 1, "Ada"), board)
    record.attempts[0].outcome = counted
    for what in occurrences:
        tallies.note(Occurrence(105.0, what, 1, 1, "Ada"), board)
    counts = {ending: each.buckets()[-1][1] for ending, each in tallies.attempts.items()}
    assert {ending: count for ending, count in counts.items() if count} == {counted: 1}
