"""Workers that are given nothing for a while: in quarantine after failures, or told to retire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.kernel.model.config import Rules
from muster.agents.kernel.model.events import RetirementRequested
from muster.agents.kernel.model.instructions import RetireWorker
from muster.agents.kernel.model.occurrence_text import describe_facts
from muster.agents.kernel.model.occurrences import OccurrenceKind
from muster.messages import IllegalTransition, InvalidInput, TaskStatus, UnknownName

Make = Callable[..., Any]


@pytest.fixture
def strict(watched: Make, task: Make) -> Any:
    """Ada may fail twice in a row, and then rests for 10 s."""
    board = watched(ends_when_done=False, quarantine_after=2, quarantine_s=10, lost_after_s=1_000)
    board.join("Ada")
    board.begin()
    return board


def occurrences(board: Any, what: OccurrenceKind) -> list[tuple[float, str, str]]:
    return [
        (each.at, each.worker, describe_facts(each))
        for each in board.said
        if getattr(each, "what", None) is what
    ]


# ---------------------------------------------------------------------------- quarantine


def test_a_worker_that_fails_too_often_in_a_row_is_given_nothing_until_its_time_is_over(
    strict: Any, task: Make
) -> None:
    strict.add(task(1), task(2), task(3))
    strict.fail(1)
    assert strict.places() == {2: "Ada"}
    strict.fail(2)
    assert strict.places() == {}
    strict.wait_until(9.9)
    assert strict.status(3) is TaskStatus.PENDING
    strict.wait_until(10.0)
    assert strict.places() == {3: "Ada"}
    assert occurrences(strict, OccurrenceKind.WORKER_QUARANTINED) == [
        (0.0, "Ada", "failed 2 times in a row; for 10 s")
    ]
    assert occurrences(strict, OccurrenceKind.WORKER_RELEASED) == [
        (10.0, "Ada", "its quarantine is over")
    ]


def test_a_success_between_failures_begins_the_row_anew(strict: Any, task: Make) -> None:
    strict.add(task(1), task(2), task(3), task(4))
    strict.fail(1)
    strict.succeed(2)
    strict.fail(3)
    assert strict.places() == {4: "Ada"}


def test_a_time_out_counts_as_a_failure(strict: Any, task: Make) -> None:
    strict.add(task(1, timeout=3), task(2), task(3))
    strict.wait_until(3.0)
    strict.fail(1)
    strict.fail(2)
    assert strict.places() == {}


def test_others_get_the_tasks_meanwhile(strict: Any, task: Make) -> None:
    strict.add(task(1), task(2), task(3))
    strict.fail(1)
    strict.fail(2)
    strict.join("Ben")
    assert strict.places() == {3: "Ben"}


def test_a_worker_that_was_started_anew_has_a_fresh_start(strict: Any, task: Make) -> None:
    strict.add(task(1), task(2), task(3))
    strict.fail(1)
    strict.fail(2)
    strict.leave("Ada")
    strict.join("Ada", session="2", worker_id="at Ada")
    assert strict.places() == {3: "Ada"}


def test_a_task_that_waits_for_a_quarantined_worker_says_so_and_does_not_fail(
    strict: Any, task: Make
) -> None:
    strict.add(task(1), task(2), task(3))
    strict.fail(1)
    strict.fail(2)
    told = strict.board.explain(3).lines()
    assert told == [
        "task 3 waits for a worker: all that can run it are in quarantine or leaving",
        "  Ada: is in quarantine: failed 2 times in a row",
    ]


@pytest.mark.parametrize("slots", [2, 3, 5])
@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_no_more_tasks_fail_in_a_row_than_begin_a_quarantine_or_run_at_once(
    watched: Make, task: Make, slots: int, limit: int
) -> None:
    board = watched(ends_when_done=False, quarantine_after=limit, quarantine_s=10)
    board.join("Ada", slots=slots)
    board.begin()
    board.add(*(task(number) for number in range(1, 30)))
    failed = 0
    while board.places():
        board.fail(min(board.places()))
        failed += 1
    assert failed == max(limit, slots)


def test_a_worker_that_has_failed_is_given_as_many_as_before_after_a_success(
    watched: Make, task: Make
) -> None:
    board = watched(ends_when_done=False, quarantine_after=3, quarantine_s=10)
    board.join("Ada", slots=3)
    board.begin()
    board.add(*(task(number) for number in range(1, 9)))
    board.fail(1)
    assert set(board.places()) == {2, 3}
    assert board.board.explain(4).lines() == [
        "task 4 waits for a free slot: all workers that can run it are busy",
        (
            "  Ada: 2/3 slots in use; gets no more tasks because its last attempts failed "
            "(close to quarantine)"
        ),
    ]
    board.succeed(2)
    assert set(board.places()) == {3, 4, 5}


def test_there_is_no_quarantine_unless_it_is_asked_for(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.add(*(task(number) for number in range(1, 50)))
    for number in range(1, 49):
        board.fail(number)
    assert board.places() == {49: "Ada"}


@pytest.mark.parametrize(
    "rule", [{"quarantine_after": 0}, {"quarantine_s": 0}, {"quarantine_s": float("inf")}]
)
def test_a_quarantine_that_makes_no_sense_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(rule))):
        Rules(**rule)


# ---------------------------------------------------------------------------- reassigning


@pytest.fixture
def reassigning(watched: Make) -> Make:
    def make(**skills: int) -> Any:
        board = watched(ends_when_done=False, reassigns_failed=True)
        for name, skill in skills.items():
            board.join(name, skill)
        board.begin()
        return board

    return make


def test_a_failed_task_is_tried_at_each_worker_that_can_do_it_before_it_counts_as_failed(
    reassigning: Make, task: Make
) -> None:
    board = reassigning(Ada=5, Ben=9, Cleo=7, Dora=2)
    board.add(task(1, 5))
    board.fail(1)
    board.fail(1)
    board.fail(1, error_message="Error: everywhere")
    assert board.handed_out() == [(1, "Ada"), (1, "Ben"), (1, "Cleo")]
    assert board.status(1) is TaskStatus.FAILED
    assert board.record(1).error_message == "Error: everywhere"


def test_where_nobody_else_is_it_fails_at_once(reassigning: Make, task: Make) -> None:
    board = reassigning(Ada=5)
    board.add(task(1))
    board.fail(1)
    assert board.status(1) is TaskStatus.FAILED


def test_reassigning_tells_that_the_attempt_failed_and_that_the_task_goes_on(
    reassigning: Make, task: Make
) -> None:
    board = reassigning(Ada=5, Ben=5)
    board.add(task(1))
    board.fail(1)
    board.succeed(1)
    assert board.happened(1) == [
        OccurrenceKind.TASK_ADDED,
        OccurrenceKind.TASK_ASSIGNED,
        OccurrenceKind.ATTEMPT_FAILED,
        OccurrenceKind.TASK_REQUEUED,
        OccurrenceKind.TASK_ASSIGNED,
        OccurrenceKind.TASK_COMPLETED,
    ]


# ---------------------------------------------------------------------------- retiring


def test_an_idle_worker_is_told_to_stop_and_given_nothing_any_more(
    crew: Make, task: Make, only: Make
) -> None:
    board = crew(Ada=5)
    said = board.handle(RetirementRequested("Ada"))
    assert only(RetireWorker, said) == [RetireWorker("at Ada")]
    board.add(task(1))
    assert board.status(1) is TaskStatus.PENDING
    assert "retiring" in "".join(board.board.explain(1).lines())
    assert board.handle(RetirementRequested("Ada")) == []


def test_a_worker_that_holds_work_is_not_retired(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.add(task(1))
    with pytest.raises(IllegalTransition, match="'Ada' holds 1 tasks"):
        board.handle(RetirementRequested("Ada"))
    board.succeed(1)
    board.handle(RetirementRequested("Ada"))


def test_a_worker_that_is_not_there_cannot_be_retired(crew: Make) -> None:
    board = crew(Ada=5)
    with pytest.raises(UnknownName, match="no connected worker 'Ben'; known: Ada"):
        board.handle(RetirementRequested("Ben"))


def test_a_retired_worker_that_comes_back_is_given_tasks(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.handle(RetirementRequested("Ada"))
    board.leave("Ada")
    board.join("Ada", session="2")
    board.add(task(1))
    assert board.places() == {1: "Ada"}
