"""A task that must have begun by some time fails if it has not, wherever it waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.kernel.board.restoration import read_board
from muster.agents.kernel.board.rows import changed_rows
from muster.agents.kernel.model.events import (
    ListeningStarted,
    RecoveryRequested,
    RestConfirmed,
    StopRequested,
    TasksAdded,
    TasksGivenBack,
)
from muster.agents.kernel.model.instructions import ComeToRest, SendCancel
from muster.agents.kernel.model.occurrence_text import describe_facts
from muster.agents.kernel.model.occurrences import OccurrenceKind
from muster.agents.kernel.model.records import AttemptOutcome
from muster.agents.store.memory import SharedRows
from muster.messages import Task, TaskStatus
from pydantic import ValidationError

Make = Callable[..., Any]
REASON = "expired: it had not begun 30 s after it was added"


def wait_for_a_worker(watched: Make, task: Make) -> Any:
    board = watched(ends_when_done=False, unmatched_after_s=None)
    board.begin()
    board.add(task(1, expires_s=30.0))
    return board


def wait_for_a_slot(watched: Make, task: Make) -> Any:
    board = watched(ends_when_done=False)
    board.join("Ada")
    board.begin()
    board.add(task(2, type="dig"), task(1, type="dig", expires_s=30.0))
    return board


def wait_for_somebody_able(watched: Make, task: Make) -> Any:
    board = watched(ends_when_done=False, unmatched_after_s=None)
    board.join("Ada")
    board.begin()
    board.add(task(1, 10, expires_s=30.0))
    return board


def wait_for_another_task(watched: Make, task: Make) -> Any:
    board = watched(ends_when_done=False)
    board.join("Ada", slots=2)
    board.begin()
    board.add(task(2, type="dig"), task(1, type="dig", depends_on=(2,), expires_s=30.0))
    return board


def wait_for_the_assigning(watched: Make, task: Make) -> Any:
    board = watched(ends_when_done=False, expected_workers=2, join_timeout_s=None)
    board.join("Ada")
    board.add(task(1, expires_s=30.0))
    return board


def wait_at_a_worker(watched: Make, task: Make) -> Any:
    board = watched("in_order", ends_when_done=False, prefetch_s=8.0)
    board.join("Ada")
    board.begin()
    board.add(*(task(number, type="dig") for number in range(2, 6)))
    for number in range(2, 5):
        board.succeed(number, execution_time=0.5)
    board.add(task(1, type="dig", expires_s=30.0))
    assert (1, 1) in board.board.workers["Ada"].prefetched
    return board


WAITS = [
    wait_for_a_worker,
    wait_for_a_slot,
    wait_for_somebody_able,
    wait_for_another_task,
    wait_for_the_assigning,
    wait_at_a_worker,
]


@pytest.mark.parametrize("wait", WAITS)
def test_a_task_that_has_not_begun_in_time_fails_wherever_it_waits(
    watched: Make, task: Make, wait: Callable[[Make, Make], Any]
) -> None:
    board = wait(watched, task)
    board.add(task("after", depends_on=(1,)))
    board.wait_until(29.9, hearing=["Ada"])
    assert board.status(1) in {TaskStatus.PENDING, TaskStatus.IN_PROGRESS}
    assert any("unless it begins" in line for line in board.board.explain(1).lines())
    board.wait_until(30.1, hearing=["Ada"])
    assert board.status(1) is TaskStatus.FAILED
    assert board.record(1).error_message == REASON
    assert board.board.explain(1).headline.startswith("failed: ")
    assert REASON in board.board.explain(1).headline
    failed = [each for each in board.record(1).story if each.what is OccurrenceKind.TASK_FAILED]
    assert [(each.at, describe_facts(each)) for each in failed] == [(30.0, REASON)]
    assert board.status("after") is TaskStatus.CANCELLED


@pytest.mark.parametrize("wait", WAITS)
def test_the_time_goes_on_while_the_manager_is_away(
    watched: Make, task: Make, wait: Callable[[Make, Make], Any]
) -> None:
    board = wait(watched, task)
    kept = SharedRows()
    kept.keep(changed_rows(board.board, board.said))
    rules, known = board.board.rules, board.board.tasks
    tasks = tuple(record.added for record in known.values())
    board.now = 20.0
    board.board = read_board(kept.read(), rules, board.board.queue.policy, now=20.0)
    board.handle(TasksAdded(tasks))
    board.handle(ListeningStarted())
    if wait is wait_at_a_worker:
        # Whether it had begun, the store does not know: its worker comes back with all that it has.
        return
    assert board.status(1) is TaskStatus.PENDING
    board.wait_until(30.1)
    assert board.status(1) is TaskStatus.FAILED
    assert board.record(1).error_message == REASON


@pytest.mark.parametrize("expected", [1, 2])
@pytest.mark.parametrize("confirms", [False, True])
def test_a_run_whose_tasks_have_all_expired_waits_for_no_worker(
    watched: Make, task: Make, only: Make, expected: int, confirms: bool
) -> None:
    board = watched(expected_workers=expected, join_timeout_s=None, confirms_end=confirms)
    if expected > 1:
        board.join("Ada")
    board.add(task(1, expires_s=30.0), task(2, expires_s=40.0), task(3, depends_on=(1,)))
    board.wait_until(39.9, hearing=["Ada"] if expected > 1 else [])
    assert not board.board.has_ended
    board.wait_until(40.1, hearing=["Ada"] if expected > 1 else [])
    if confirms:
        assert len(only(ComeToRest, board.said)) == 1
        board.handle(RestConfirmed())
    assert (board.board.has_ended, board.board.failure) == (True, None)


def test_a_manager_that_goes_on_when_all_is_done_waits_for_its_workers(
    watched: Make, task: Make
) -> None:
    board = watched(ends_when_done=False, join_timeout_s=None)
    board.add(task(1, expires_s=30.0))
    board.wait_until(31.0)
    assert not board.board.has_ended
    board.add(task(2))
    board.join("Ada")
    assert not board.board.has_ended


def test_what_waited_at_a_worker_is_called_back(watched: Make, task: Make, only: Make) -> None:
    board = wait_at_a_worker(watched, task)
    said = board.wait_until(30.1, hearing=["Ada"])
    cancels = only(SendCancel, said)
    assert [(each.task_id, each.attempt, each.reason) for each in cancels] == [(1, 1, REASON)]
    assert board.record(1).attempts[0].outcome is AttemptOutcome.NOT_BEGUN


def test_a_worker_that_comes_back_with_it_is_told_to_let_go(
    watched: Make, task: Make, only: Make
) -> None:
    board = wait_at_a_worker(watched, task)
    running = set(board.board.workers["Ada"].running)
    board.wait_until(30.1, hearing=["Ada"])
    said = board.join("Ada", call=2, holding=frozenset({(1, 1), *running}))
    assert [each.task_id for each in only(SendCancel, said)] == [1]


@pytest.mark.parametrize("then", ["goes on", "is lost", "fails", "times out"])
def test_what_has_begun_in_time_expires_no_more(crew: Make, task: Make, then: str) -> None:
    board = crew(Ada=5, Ben=5)
    limit_s = 10.0 if then == "times out" else None
    board.add(task(1, type="dig", expires_s=30.0, max_attempts=2, timeout=limit_s))
    if then == "is lost":
        board.leave("Ada")
    elif then == "fails":
        board.fail(1)
    board.wait_until(15.0 if then == "times out" else 100.0, hearing=["Ada", "Ben"])
    assert board.status(1) in {TaskStatus.IN_PROGRESS, TaskStatus.PENDING}
    assert not any("unless it begins" in line for line in board.board.explain(1).lines())


def test_it_expires_though_it_was_given_back_unbegun(watched: Make, task: Make) -> None:

    board = wait_at_a_worker(watched, task)
    record = board.record(1)
    record.attempts[-1].is_recalled = True
    board.handle(TasksGivenBack("at Ada", ((1, 1),)))
    board.board.workers["Ada"].is_retiring = False
    board.wait_until(30.1, hearing=["Ada"])
    assert board.status(1) is TaskStatus.FAILED


def test_a_recovered_task_has_its_whole_time_again(watched: Make, task: Make) -> None:

    board = wait_for_a_worker(watched, task)
    board.wait_until(31.0)
    board.handle(RecoveryRequested(1))
    board.wait_until(60.5)
    assert board.status("1-recovery-1") is TaskStatus.PENDING
    board.wait_until(61.5)
    assert board.status("1-recovery-1") is TaskStatus.FAILED


def test_a_run_that_has_ended_lets_nothing_expire(watched: Make, task: Make) -> None:

    board = wait_for_a_worker(watched, task)
    board.handle(StopRequested())
    board.wait_until(100.0)
    assert board.status(1) is TaskStatus.PENDING


def test_the_limit_runs_as_fast_as_timeouts_do(watched: Make, task: Make) -> None:
    board = watched(ends_when_done=False, time_scale=0.1)
    board.add(task(1, expires_s=30.0))
    board.wait_until(3.1)
    assert board.status(1) is TaskStatus.FAILED


@pytest.mark.parametrize("limit", [0, -1, float("nan"), float("inf"), "soon"])
def test_a_limit_is_a_finite_number_of_seconds_above_0(limit: Any) -> None:
    with pytest.raises(ValidationError, match="expires_s"):
        Task(id=1, description="x", expires_s=limit)
