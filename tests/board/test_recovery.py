"""Who gets a task that has failed before, and what becomes of one that nobody can do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.kernel.model.events import TimePassed
from muster.agents.kernel.model.occurrences import OccurrenceKind
from muster.messages import TaskStatus

Make = Callable[..., Any]
POLICIES = ["best_fit", "in_order", "score"]


def test_a_task_is_tried_as_often_as_it_may_be(crew: Make, task: Make) -> None:
    board = crew(Ada=5, Ben=5, Cleo=5)
    board.add(task(1, max_attempts=3))
    board.fail(1)
    board.fail(1)
    assert board.status(1) is TaskStatus.IN_PROGRESS
    board.fail(1, error_message="Error: the last")
    assert board.status(1) is TaskStatus.FAILED
    assert board.record(1).error_message == "Error: the last"
    assert board.record(1).result.attempt == 3


@pytest.mark.parametrize("policy", POLICIES)
def test_a_retry_goes_to_another_worker(crew: Make, task: Make, policy: str) -> None:
    board = crew(policy, Ada=5, Ben=5)
    board.add(task(1, max_attempts=2))
    board.fail(1)
    assert board.handed_out() == [(1, "Ada"), (1, "Ben")]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_retry_goes_to_the_most_skilled_that_is_free(crew: Make, task: Make, policy: str) -> None:
    board = crew(policy, Ada=3, Ben=5, Cleo=9, Dora=7)
    board.add(task(1, max_attempts=2))
    board.fail(1)
    assert board.handed_out() == [(1, "Ada"), (1, "Cleo")]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_retry_waits_for_a_busy_worker_rather_than_go_back(
    crew: Make, task: Make, policy: str
) -> None:
    board = crew(policy, Ada=5, Ben=5)
    board.add(task(1, max_attempts=2), task(2))
    board.fail(1)
    assert board.places() == {2: "Ben"}
    board.succeed(2)
    assert board.places() == {1: "Ben"}


def test_a_retry_goes_back_if_nobody_else_is_able(crew: Make, task: Make) -> None:
    board = crew(Ada=9, Ben=5)
    board.add(task(1, 8, max_attempts=2))
    board.fail(1)
    assert board.handed_out() == [(1, "Ada"), (1, "Ada")]


def test_a_retry_goes_back_when_the_other_able_worker_is_lost(crew: Make, task: Make) -> None:
    board = crew(Ada=5, Ben=5)
    board.add(task(1, max_attempts=2), task(2))
    board.fail(1)
    assert board.places() == {2: "Ben"}
    board.leave("Ben")
    assert 1 in board.places() or 2 in board.places()
    assert set(board.places().values()) == {"Ada"}


def test_of_the_equally_skilled_the_less_loaded_gets_a_retry(watched: Make, task: Make) -> None:
    board = watched(ends_when_done=False)
    for name, slots in (("Ada", 1), ("Ben", 2), ("Cleo", 2)):
        board.join(name, slots=slots)
    board.begin()
    board.add(task(1, max_attempts=2), task(2))
    board.fail(1)
    assert board.places() == {1: "Cleo", 2: "Ben"}


def test_a_timed_out_attempt_is_retried_elsewhere(crew: Make, task: Make) -> None:
    board = crew(Ada=5, Ben=6)
    board.add(task(1, timeout=3, max_attempts=2))
    board.wait_until(3)
    assert board.handed_out() == [(1, "Ada"), (1, "Ben")]


def test_a_lost_worker_that_returns_may_have_its_task_again(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.add(task(1))
    board.leave("Ada")
    board.join("Ada")
    assert board.handed_out() == [(1, "Ada"), (1, "Ada")]


# ---------------------------------------------------------------- nobody can


def test_a_task_that_nobody_can_do_fails_when_its_patience_ends(crew: Make, task: Make) -> None:
    board = crew(Junior=3, Intermediate=6)
    board.add(task(1, 9))
    assert board.board.next_timer_at() == 10.0
    board.wait_until(29.9, hearing=["Junior", "Intermediate"])
    assert board.status(1) is TaskStatus.PENDING
    board.wait_until(30, hearing=["Junior", "Intermediate"])
    assert board.status(1) is TaskStatus.FAILED
    told = "nobody can: needs skill 9; the best, Intermediate, has 6"
    assert board.record(1).error_message == told
    assert board.record(1).result is None
    assert board.happened(1) == [OccurrenceKind.TASK_ADDED, OccurrenceKind.TASK_FAILED]


def test_a_task_without_a_handler_fails_and_names_those_there_are(crew: Make, task: Make) -> None:
    board = crew()
    board.join("Ada", task_types=frozenset({"b", "a"}))
    board.add(task(1, type="paint"))
    board.wait_until(30, hearing=["Ada"])
    told = "nobody can: Ada has no handler for 'paint'; has: a, b"
    assert board.record(1).error_message == told


def test_each_task_has_its_own_patience(crew: Make, task: Make) -> None:
    board = crew(Ada=3)
    for task_id, at in ((1, 0.0), (2, 5.0), (3, 5.0), (4, 9.0)):
        board.wait_until(at, hearing=["Ada"])
        board.add(task(task_id, 9))
    board.cancel(4)
    board.wait_until(60, hearing=["Ada"])
    assert [board.record(n).finished_at for n in (1, 2, 3)] == [30.0, 35.0, 35.0]


def test_no_task_waits_longer_since_others_come_that_can_not_do_it(crew: Make, task: Make) -> None:
    board = crew(Ada=3)
    board.add(task(1, 9))
    board.wait_until(10, hearing=["Ada"])
    board.join("Ben", 4)
    board.wait_until(15, hearing=["Ada", "Ben"])
    board.add(task(2, 9))
    board.wait_until(20, hearing=["Ada", "Ben"])
    board.join("Cleo", 4)
    board.wait_until(60, hearing=["Ada", "Ben", "Cleo"])
    assert [board.record(n).finished_at for n in (1, 2)] == [30.0, 45.0]


def test_a_hard_task_waits_its_whole_time_after_one_of_its_kind_has_failed(
    crew: Make, task: Make
) -> None:
    board = crew(Ada=3)
    board.add(task(1, 9))
    board.wait_until(40, hearing=["Ada"])
    board.add(task(2, 9))
    board.wait_until(69.9, hearing=["Ada"])
    assert board.status(2) is TaskStatus.PENDING
    board.wait_until(70, hearing=["Ada"])
    assert board.status(2) is TaskStatus.FAILED


def test_what_depends_on_a_task_that_nobody_can_do_is_cancelled_with_it(
    crew: Make, task: Make
) -> None:
    board = crew(Ada=3)
    board.add(task(1, 9), task(2, depends_on=(1,)), task(3, depends_on=(2,)))
    board.wait_until(30, hearing=["Ada"])
    assert board.status(1) is TaskStatus.FAILED
    for task_id in (2, 3):
        assert board.status(task_id) is TaskStatus.CANCELLED
        assert board.record(task_id).error_message == "dependency: task 1 failed"


def test_the_patience_ends_when_somebody_able_comes(crew: Make, task: Make) -> None:
    board = crew(Ada=3)
    board.add(task(1, 9, type="real"))
    board.wait_until(29, hearing=["Ada"])
    board.join("Ben", 9)
    board.wait_until(60, hearing=["Ada", "Ben"])
    assert board.places() == {1: "Ben"}


def test_the_patience_of_latecomers_ends_too_when_somebody_able_comes(
    crew: Make, task: Make
) -> None:
    board = crew(Ada=3)
    for task_id, at in ((1, 0.0), (2, 5.0), (3, 6.0)):
        board.wait_until(at, hearing=["Ada"])
        board.add(task(task_id, 9, type="real"))
    board.join("Ben", 9)
    board.wait_until(100, hearing=["Ada", "Ben"])
    assert board.places() == {1: "Ben"}
    assert board.status(2) is board.status(3) is TaskStatus.PENDING


def test_latecomers_patience_begins_anew_when_the_able_worker_is_lost_again(
    crew: Make, task: Make
) -> None:
    board = crew(Ada=3)
    for task_id, at in ((1, 0.0), (2, 5.0)):
        board.wait_until(at, hearing=["Ada"])
        board.add(task(task_id, 9, type="real"))
    board.join("Ben", 9)
    board.wait_until(20, hearing=["Ada", "Ben"])
    board.leave("Ben")
    board.wait_until(100, hearing=["Ada"])
    assert [board.record(n).finished_at for n in (1, 2)] == [50.0, 50.0]


def test_the_patience_begins_anew_when_the_last_able_worker_is_lost(crew: Make, task: Make) -> None:
    board = crew(Ada=3, Ben=9)
    board.add(task(1, 9, type="real"), task(2, 9, type="real"))
    board.wait_until(20, hearing=["Ada", "Ben"])
    board.leave("Ben")
    board.wait_until(49.9, hearing=["Ada"])
    assert board.status(2) is TaskStatus.PENDING
    board.wait_until(50, hearing=["Ada"])
    assert board.record(1).finished_at == board.record(2).finished_at == 50.0


def test_patience_does_not_run_while_nobody_is_connected(crew: Make, task: Make) -> None:
    board = crew(Ada=3)
    board.add(task(1, 9))
    board.leave("Ada")
    board.wait_until(100)
    assert board.status(1) is TaskStatus.PENDING
    board.join("Ada", 3)
    board.wait_until(130, hearing=["Ada"])
    assert board.record(1).finished_at == 130.0


def test_patience_that_ends_as_the_last_worker_is_lost_ends_nothing(
    watched: Make, task: Make
) -> None:
    board = watched(unmatched_after_s=10, lost_after_s=10)
    board.add(task(1, 9))
    board.join("Ada", 3)
    board.begin()
    board.now = 10.0
    board.handle(TimePassed())
    assert board.status(1) is TaskStatus.PENDING


def test_patience_does_not_run_before_the_assigning_begins(watched: Make, task: Make) -> None:
    board = watched()
    board.add(task(1, 9))
    board.join("Ada", 3)
    board.wait_until(100, hearing=["Ada"])
    board.begin()
    assert board.status(1) is TaskStatus.PENDING
    board.wait_until(130, hearing=["Ada"])
    assert board.record(1).finished_at == 130.0


def test_without_an_end_patience_lasts_for_ever(watched: Make, task: Make) -> None:
    board = watched(unmatched_after_s=None)
    board.add(task(1, 9))
    board.join("Ada", 3)
    board.begin()
    board.wait_until(10_000, hearing=["Ada"])
    assert board.status(1) is TaskStatus.PENDING


def test_without_patience_a_task_that_nobody_can_do_fails_at_the_next_alarm(
    watched: Make, task: Make
) -> None:
    board = watched(unmatched_after_s=0)
    board.add(task(1, 9))
    board.join("Ada", 3)
    board.begin()
    board.wait_until(0)
    assert board.status(1) is TaskStatus.FAILED


def test_one_whom_nobody_can_do_does_not_keep_others_waiting(crew: Make, task: Make) -> None:
    board = crew(Ada=3)
    board.add(task(1, 9, priority=100), task(2, 2))
    assert board.places() == {2: "Ada"}


# ---------------------------------------------------------------- the end


def test_the_run_ends_once_when_every_task_is_settled(
    watched: Make, task: Make, whats: Make
) -> None:
    board = watched()
    board.add(task(1), task(2))
    board.join("Ada", slots=2)
    board.begin()
    board.succeed(1)
    assert not board.board.has_ended
    board.now = 3.0
    said = board.fail(2)
    assert whats(said) == [
        OccurrenceKind.ATTEMPT_FAILED,
        OccurrenceKind.TASK_FAILED,
        OccurrenceKind.RUN_ENDED,
    ]
    assert (board.board.ended_at, board.board.failure) == (3.0, None)
    assert OccurrenceKind.RUN_ENDED not in whats(board.fail(2))


def test_a_run_without_tasks_ends_as_soon_as_it_begins(watched: Make, whats: Make) -> None:
    assert whats(watched().begin()) == [OccurrenceKind.ASSIGNING_BEGUN, OccurrenceKind.RUN_ENDED]


def test_a_run_whose_tasks_are_all_cancelled_ends_when_it_begins(watched: Make, task: Make) -> None:
    board = watched()
    board.add(task(1))
    board.cancel(1)
    assert not board.board.has_ended
    board.begin()
    assert board.board.has_ended


def test_after_the_end_everything_is_taken_harmlessly(watched: Make, task: Make) -> None:
    board = watched()
    board.add(task(1))
    board.join("Ada")
    board.begin()
    board.succeed(1)
    board.join("Ben")
    board.join("Ada")
    board.heard("Ben")
    board.leave("Ben")
    board.begin()
    board.wait_until(100)
    assert board.board.ended_at == 0.0
