"""Which results count, and which are passed over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.kernel.model.events import ResultReceived
from muster.agents.kernel.model.instructions import SendCancel
from muster.agents.kernel.model.occurrence_text import describe_facts
from muster.agents.kernel.model.occurrences import OccurrenceKind
from muster.messages import TaskResult, TaskStatus

Make = Callable[..., Any]


@pytest.fixture
def running(crew: Make, task: Make) -> Any:
    """Task 1 runs at Ada, task 2 at Ben; each may be tried twice."""
    board = crew(Ada=5, Ben=5)
    board.add(task(1, type="real", max_attempts=2), task(2, type="real", max_attempts=2))
    return board


def test_a_success_completes_the_task_and_is_recorded(running: Any) -> None:
    running.succeed(1, output="out", execution_time=2.5)
    assert running.status(1) is TaskStatus.COMPLETED
    assert running.record(1).result.output == "out"
    assert [result.task_id for result in running.board.results] == [1]


def test_results_are_kept_in_the_order_of_their_recording(running: Any) -> None:
    running.succeed(2)
    running.succeed(1)
    assert [result.task_id for result in running.board.results] == [2, 1]


def test_statistics_tell_what_a_worker_has_done(running: Any) -> None:
    running.succeed(1, execution_time=2.0)
    running.fail(2, execution_time=1.0)
    ada, ben = (running.board.workers[name].stats for name in ("Ada", "Ben"))
    assert (ada.completed_tasks, ada.successful_tasks, ada.total_time) == (1, 1, 2.0)
    assert (ben.completed_tasks, ben.successful_tasks, ben.total_time) == (1, 0, 1.0)
    assert (ada.success_rate, ben.success_rate) == (1.0, 0.0)


def test_a_result_that_comes_twice_counts_once(running: Any) -> None:
    running.succeed(1, output="first")
    (told,) = running.succeed(1, output="second")
    assert (told.what, describe_facts(told)) == (OccurrenceKind.RESULT_IGNORED, "came twice")
    assert running.record(1).result.output == "first"
    assert running.board.ignored == {"came twice": 1}


def test_a_failure_taken_back_as_a_success_counts_as_the_failure(running: Any) -> None:
    running.fail(1)
    running.succeed(1, worker="Ada", attempt=1)
    assert running.status(1) is TaskStatus.PENDING


def test_a_result_from_a_worker_that_does_not_have_the_task_is_ignored(running: Any) -> None:
    running.succeed(1, worker="Ben", worker_id="at Ben")
    assert running.status(1) is TaskStatus.IN_PROGRESS
    assert running.board.ignored == {"not this worker's attempt": 1}


def test_a_result_in_another_workers_name_is_ignored(running: Any) -> None:
    running.succeed(1, worker="Ada", worker_id="at Ben")
    running.succeed(1, worker="Ben", worker_id="at Ada")
    assert running.status(1) is TaskStatus.IN_PROGRESS
    assert running.board.ignored == {"not this worker's attempt": 2}


@pytest.mark.parametrize("attempt", [2, 1_000_000])
def test_a_result_of_an_attempt_that_never_was_is_ignored(running: Any, attempt: int) -> None:
    running.succeed(1, attempt=attempt)
    assert running.status(1) is TaskStatus.IN_PROGRESS


def test_a_result_from_a_stranger_is_ignored(running: Any) -> None:
    running.succeed(1, worker_id="nowhere")
    assert running.status(1) is TaskStatus.IN_PROGRESS
    assert running.board.ignored == {"unknown worker": 1}


def test_results_of_unknown_tasks_are_only_counted(running: Any) -> None:
    result = TaskResult(task_id="made up", worker="Ada", success=True)
    assert running.handle(ResultReceived("at Ada", result)) == []
    assert running.board.ignored == {"unknown task": 1}


def test_a_failure_without_a_reason_gets_one(running: Any) -> None:
    running.fail(1, error_message=None)
    assert running.record(1).error_message == "failed: no reason given"


def test_a_late_success_of_a_requeued_task_counts(crew: Make, task: Make, only: Make) -> None:
    board = crew(Ada=5)
    board.add(task(1, timeout=4, max_attempts=2))
    board.wait_until(4)
    assert board.status(1) is TaskStatus.PENDING
    board.succeed(1, attempt=1)
    assert board.status(1) is TaskStatus.COMPLETED
    assert board.record(1).result.attempt == 1
    stats = board.board.workers["Ada"].stats
    assert (stats.completed_tasks, stats.successful_tasks) == (1, 1)


def test_a_late_success_stops_the_attempt_that_runs_elsewhere(
    crew: Make, task: Make, only: Make
) -> None:
    board = crew(Ada=5, Ben=5)
    board.add(task(1, timeout=4, max_attempts=2), task(2, type="real"), task(3, type="real"))
    board.succeed(2)
    board.succeed(3)
    board.wait_until(4)
    assert board.places() == {1: "Ben"}
    said = board.succeed(1, worker="Ada", attempt=1)
    assert only(SendCancel, said) == [SendCancel("at Ben", 1, 2, "done elsewhere: by Ada")]
    assert board.status(1) is TaskStatus.COMPLETED
    assert board.board.workers["Ben"].stopping.keys() == {(1, 2)}
    board.fail(1, worker="Ben", attempt=2)
    assert not board.board.workers["Ben"].stopping


def test_a_success_from_a_lost_worker_counts_if_nobody_was_faster(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.add(task(1, type="real"))
    board.wait_until(10)
    assert board.status(1) is TaskStatus.PENDING
    board.succeed(1, attempt=1)
    assert board.status(1) is TaskStatus.COMPLETED
    stats = board.board.workers["Ada"].stats
    assert (stats.completed_tasks, stats.successful_tasks) == (1, 1)


def test_a_success_that_a_returned_worker_had_kept_counts(crew: Make, task: Make) -> None:
    board = crew(Ada=5, Ben=5)
    board.add(task(1, type="real"))
    board.leave("Ada")
    assert board.places() == {1: "Ben"}
    board.join("Ada", worker_id="elsewhere", session="2")
    board.succeed(1, worker="Ada", attempt=1, worker_id="elsewhere")
    assert board.status(1) is TaskStatus.COMPLETED


def test_a_success_from_a_lost_worker_comes_too_late_if_another_was_faster(
    crew: Make, task: Make
) -> None:
    board = crew(Ada=5, Ben=5)
    board.add(task(1, type="real"))
    board.leave("Ada")
    board.succeed(1, output="Ben's")
    board.succeed(1, worker="Ada", attempt=1, output="Ada's")
    assert board.record(1).result.output == "Ben's"
    assert board.board.ignored == {"came too late": 1}


def test_a_failure_from_a_lost_worker_is_ignored(crew: Make, task: Make) -> None:
    board = crew(Ada=5, Ben=5)
    board.add(task(1, type="real"))
    board.leave("Ada")
    board.fail(1, worker="Ada", attempt=1)
    assert board.places() == {1: "Ben"}
    assert board.board.ignored == {"came too late": 1}


def test_a_result_from_a_workers_former_address_does_not_end_its_new_attempt(
    crew: Make, task: Make
) -> None:
    board = crew(Ada=5)
    board.add(task(1, type="real"))
    board.leave("Ada")
    board.join("Ada", worker_id="elsewhere", session="2")
    board.succeed(1, attempt=2, worker_id="at Ada")
    assert board.places() == {1: "Ada"}
    assert board.board.ignored == {"from a former address": 1}


def test_a_success_of_a_cancelled_task_frees_the_slot_and_comes_too_late(
    crew: Make, task: Make
) -> None:
    board = crew(Ada=5)
    board.add(task(1), task(2))
    board.cancel(1)
    board.succeed(1)
    assert board.status(1) is TaskStatus.CANCELLED
    assert board.board.ignored == {"came too late": 1}
    assert board.places() == {2: "Ada"}


def test_each_task_is_done_by_the_one_it_was_given_to_and_by_nobody_else(
    crew: Make, task: Make
) -> None:
    """Ceylon shows every message to everyone; who answers unasked must not count."""
    board = crew(Ada=5, Ben=5, Cleo=5)
    board.add(task(1), task(2), task(3))
    owners = dict(board.places())
    for task_id in owners:
        for name in ("Ada", "Ben", "Cleo"):
            board.succeed(task_id, worker=name, worker_id=f"at {name}", output=name, attempt=1)
    outputs = {result.task_id: result.output for result in board.board.results}
    assert outputs == owners
    assert len(board.board.results) == 3
