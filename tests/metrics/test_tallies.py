"""What is counted of attempts that were sent ahead, came late, or never began."""

from __future__ import annotations

import pytest
from muster.agents.kernel.board_state import BoardState
from muster.agents.kernel.events import Occurrence, What
from muster.agents.kernel.records import Attempt, Ending, TaskRecord, WorkerRecord
from muster.agents.metrics.tallies import Tallies
from muster.messages import Task

ADA = WorkerRecord("Ada", "at Ada", "1", 5, frozenset(), 1, None, 0, 0.0, 0.0)


@pytest.fixture
def record() -> TaskRecord:
    """A task that was added at 100."""
    return TaskRecord(1, Task(task_id=1), 0, added_at=100.0)


@pytest.fixture
def board(record: TaskRecord) -> BoardState:
    """A board with that task."""
    made = BoardState()
    made._tasks[1] = record
    return made


def attempt(
    record: TaskRecord,
    began: float,
    ended: float | None = None,
    ending: Ending | None = None,
    expected_s: float = 0.0,
) -> None:
    record.attempts.append(
        Attempt(
            *(len(record.attempts) + 1, ADA, record, began, None, None),
            ending=ending,
            ended_at=ended,
            expected_s=expected_s,
        )
    )


def test_what_was_sent_ahead_waits_until_there_is_a_slot(
    record: TaskRecord, board: BoardState
) -> None:
    tallies = Tallies()
    # It was assigned at 100, and began at 107.
    attempt(record, 107.0, 109.0, Ending.SUCCEEDED, expected_s=2.0)
    tallies.note(Occurrence(100.0, What.TASK_ASSIGNED, 1, 1, "Ada"), board)
    assert tallies.waits.buckets()[-1][1] == 0
    tallies.note(Occurrence(109.0, What.TASK_COMPLETED, 1, 1, "Ada"), board)
    assert (tallies.waits.buckets()[-1][1], tallies.waits.sum_s) == (1, 7.0)
    assert tallies.attempts[Ending.SUCCEEDED].sum_s == 2.0


def test_what_was_given_back_goes_on_waiting(record: TaskRecord, board: BoardState) -> None:
    tallies = Tallies()
    attempt(record, 100.0, 104.0, Ending.NOT_BEGUN, expected_s=2.0)
    tallies.note(Occurrence(100.0, What.TASK_ASSIGNED, 1, 1, "Ada"), board)
    tallies.note(Occurrence(104.0, What.TASK_REQUEUED, 1, 1, "Ada"), board)
    attempt(record, 105.0)
    tallies.note(Occurrence(105.0, What.TASK_ASSIGNED, 1, 2, "Ada"), board)
    assert (tallies.waits.buckets()[-1][1], tallies.waits.sum_s) == (1, 5.0)
    assert sum(each.buckets()[-1][1] for each in tallies.attempts.values()) == 0


def test_a_late_success_overtakes_the_attempt_that_runs(
    record: TaskRecord, board: BoardState
) -> None:
    tallies = Tallies()
    attempt(record, 100.0, 103.0, Ending.TIMED_OUT)
    tallies.note(Occurrence(103.0, What.ATTEMPT_TIMED_OUT, 1, 1, "Ada"), board)
    tallies.note(Occurrence(103.0, What.TASK_REQUEUED, 1, 1), board)
    attempt(record, 104.0, 105.0, Ending.OVERTAKEN)
    tallies.note(Occurrence(105.0, What.TASK_COMPLETED, 1, 1, "Ada"), board)
    counted = {ending: each.sum_s for ending, each in tallies.attempts.items() if each.sum_s}
    assert counted == {Ending.TIMED_OUT: 3.0, Ending.OVERTAKEN: 1.0}
    assert tallies.retries == {Ending.TIMED_OUT: 1}


def test_what_is_forgotten_or_unknown_is_passed_over(board: BoardState) -> None:
    tallies = Tallies()
    tallies.note(Occurrence(1.0, What.TASK_COMPLETED, 99, 1, "Ada"), board)
    tallies.note(Occurrence(1.0, What.TASK_ASSIGNED, 1, 5, "Ada"), board)
    assert tallies.settled == {What.TASK_COMPLETED: 1}
    assert tallies.waits.buckets()[-1][1] == 0
