"""What a `Retry` says of the next attempt: whether there is one, when, and at which worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.kernel.board.restoration import read_board
from muster.agents.kernel.board.rows import changed_rows
from muster.agents.kernel.model.events import (
    DrainRequested,
    ListeningStarted,
    RetryRequested,
    TimePassed,
)
from muster.agents.kernel.model.occurrence_text import describe_facts
from muster.agents.kernel.model.occurrences import OccurrenceKind
from muster.agents.kernel.model.records import AttemptOutcome
from muster.agents.store.memory import SharedRows
from muster.messages import InvalidInput, Retry, TaskStatus

Make = Callable[..., Any]
STEADY = Retry(max_attempts=4, wait_s=10, factor=2, max_wait_s=25, jitter=0)
LATER: dict[str, Any] = {"error_message": "RetryLater: busy", "retry_after_s": 7.0}
GIVES_UP: dict[str, Any] = {"error_message": "GiveUp: never", "gives_up": True}


def test_each_wait_is_longer_up_to_the_longest(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.add(task(1, type="dig", retry=STEADY))
    starts = [0.0, 10.0, 30.0, 55.0]
    for number, at in enumerate(starts, start=1):
        board.wait_until(at, hearing=["Ada"])
        assert board.record(1).attempt == number
        assert board.record(1).attempts[-1].started_at == at
        board.fail(1)
    assert board.status(1) is TaskStatus.FAILED


def test_the_time_scale_holds_for_waits(watched: Make, task: Make) -> None:
    board = watched(ends_when_done=False, time_scale=0.1)
    board.join("Ada")
    board.begin()
    board.add(task(1, type="dig", retry=STEADY))
    board.fail(1)
    assert board.record(1).wait_until == 1.0


def test_the_wait_is_told_everywhere(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.add(task(1, type="dig", retry=STEADY))
    board.fail(1, error_message="ConnectionError: refused")
    (told,) = board.board.explain(1).lines()
    assert told == (
        "task 1 waits until 00:00:10 UTC (retry 2 of 4 after ConnectionError), 10.0 s more "
        "(its last failure: ConnectionError: refused)"
    )
    *_, requeued, delayed = board.record(1).story
    assert describe_facts(requeued) == "attempts left: 3"
    assert describe_facts(delayed) == "until 00:00:10 UTC (retry 2 of 4 after ConnectionError)"


@pytest.mark.parametrize(
    ("retry", "error", "is_tried_again"),
    [
        ({"on": ("ConnectionError",)}, "ConnectionError: refused", True),
        ({"on": ("ConnectionError",)}, "ConnectionError", True),
        ({"on": ("ConnectionError",)}, "connectionerror: refused", False),
        ({"on": ("*Error",)}, "ConnectionError: refused", True),
        ({"on": ("ConnectionError",)}, "ValueError: ConnectionError", False),
        ({"on": ("HTTPStatusError:5*",)}, "HTTPStatusError: 503 busy", True),
        ({"on": ("HTTPStatusError:5*",)}, "HTTPStatusError: 404", False),
        ({"on": ("A", "B: late?")}, "B: later", True),
        ({"unless": ("ValueError",)}, "ValueError: no", False),
        ({"unless": ("ValueError",)}, "KeyError: 'no'", True),
        ({"on": ("*Error",), "unless": ("ValueError",)}, "ValueError: no", False),
        ({"on": ("E:*\n*",)}, "E: one\ntwo", True),
    ],
)
def test_patterns_choose_the_errors(
    crew: Make, task: Make, retry: dict[str, Any], error: str, is_tried_again: bool
) -> None:
    board = crew(Ada=5, Ben=5)
    board.add(task(1, type="dig", retry=Retry(**retry, wait_s=0)))
    board.fail(1, error_message=error)
    expected = TaskStatus.IN_PROGRESS if is_tried_again else TaskStatus.FAILED
    assert board.status(1) is expected


def test_a_timeout_has_a_kind_too(crew: Make, task: Make) -> None:
    board = crew(Ada=5, Ben=5)
    for number, kinds in enumerate((("timed out",), ("ValueError",)), start=1):
        board.add(task(number, type="dig", timeout=3.0, retry=Retry(on=kinds, wait_s=0)))
    board.wait_until(4.0, hearing=["Ada", "Ben"])
    assert board.status(1) is not TaskStatus.FAILED
    assert board.status(2) is TaskStatus.FAILED


@pytest.mark.parametrize("same_worker", [True, False])
def test_the_next_attempt_goes_to_the_same_worker_if_asked(
    crew: Make, task: Make, same_worker: bool
) -> None:
    board = crew(Ada=5, Ben=5)
    retry = STEADY.model_copy(update={"same_worker": same_worker})
    board.add(task(1, type="dig", retry=retry))
    first = board.record(1).worker
    for at in (10.0, 30.0, 55.0):
        board.fail(1)
        board.wait_until(at, hearing=["Ada", "Ben"])
        assert (board.record(1).worker == first) is same_worker
        if not same_worker:
            return


def test_it_waits_for_the_same_worker_only_while_that_is_connected(crew: Make, task: Make) -> None:
    board = crew(Ada=5, Ben=5)
    board.add(task(1, type="dig", retry=STEADY.model_copy(update={"same_worker": True})))
    first = board.record(1).worker
    other = ({"Ada", "Ben"} - {first}).pop()
    board.fail(1)
    board.add(task(2, type="dig"), task(3, type="dig"))
    board.wait_until(10.0, hearing=["Ada", "Ben"])
    mine = next(number for number in (2, 3) if board.record(number).worker == first)
    board.succeed(5 - mine)
    assert board.status(1) is TaskStatus.PENDING
    assert f"{other}: its last attempt failed at {first}" in str(board.board.explain(1))
    board.leave(first)
    assert board.record(1).worker == other


def test_a_ladder_comes_before_the_same_worker(crew: Make, task: Make) -> None:
    board = crew(Ada=5, Ben=5)
    retry = STEADY.model_copy(update={"same_worker": True})
    board.add(task(1, type="dig", escalate=("Ada", "Ben"), retry=retry))
    for at in (10.0, 30.0):
        board.fail(1)
        board.wait_until(at, hearing=["Ada", "Ben"])
    assert [each.worker.name for each in board.record(1).attempts] == ["Ada", "Ben", "Ben"]


def test_it_does_not_return_to_a_worker_that_is_drained(crew: Make, task: Make) -> None:
    board = crew(Ada=5, Ben=5)
    retry = STEADY.model_copy(update={"same_worker": True})
    board.add(task(1, type="dig", retry=retry))
    first = board.record(1).worker
    board.fail(1)
    board.handle(DrainRequested(first, leaves=False))
    board.wait_until(10.0, hearing=["Ada", "Ben"])
    assert board.record(1).worker == ({"Ada", "Ben"} - {first}).pop()


def test_it_does_not_return_to_a_worker_for_which_the_budget_is_spent(
    watched: Make, task: Make
) -> None:
    board = watched(ends_when_done=False, budget=1.0)
    board.join("Ada", cost_per_task=1.0)
    board.begin()
    board.add(task(1, type="dig", retry=STEADY.model_copy(update={"same_worker": True})))
    assert board.record(1).worker == "Ada"
    board.join("Ben")
    board.fail(1)
    board.wait_until(10.0, hearing=["Ada", "Ben"])
    assert board.record(1).worker == "Ben"


@pytest.mark.parametrize("away_until", [4.0, 15.0])
def test_a_restart_waits_the_rest_once(crew: Make, task: Make, away_until: float) -> None:
    board = crew(Ada=5, Ben=5)
    board.add(task(1, type="dig", retry=STEADY.model_copy(update={"same_worker": True})))
    first = board.record(1).worker
    board.fail(1)
    kept = SharedRows()
    kept.keep(changed_rows(board.board, board.said))
    board.now = away_until
    rules, policy = board.board.rules, board.board.queue.policy
    board.board = read_board(kept.read(), rules, policy, now=board.now)
    board.handle(ListeningStarted())
    for name in ("Ada", "Ben"):
        board.join(name, session="2")
    board.handle(TimePassed())
    board.wait_until(max(away_until, 10.0), hearing=["Ada", "Ben"])
    assert [each.started_at for each in board.record(1).attempts] == [0.0, max(away_until, 10.0)]
    assert board.record(1).worker == first
    board.fail(1)
    assert board.record(1).wait_until == max(away_until, 10.0) + 20.0


def test_the_managers_retry_holds_for_tasks_that_say_nothing(watched: Make, task: Make) -> None:
    board = watched(
        ends_when_done=False,
        retry=Retry(max_attempts=2, wait_s=5, jitter=0),
        retries={"dig": STEADY},
        reassigns_failed=True,
    )
    board.join("Ada", slots=9)
    board.begin()
    board.add(
        task(1, type="dig"),
        task(2, type="fly"),
        task(3, type="dig", max_attempts=2),
        task(4, type="dig", retry=Retry(max_attempts=1)),
    )
    for number in range(1, 5):
        board.fail(number)
    waits = [board.record(number).wait_until for number in range(1, 5)]
    assert waits == [10.0, 5.0, None, None]
    assert board.status(4) is TaskStatus.FAILED
    kept = SharedRows()
    kept.keep(changed_rows(board.board, board.said))
    again = read_board(kept.read(), board.board.rules, board.board.queue.policy, now=0.0)
    assert [each.retry for each in again.tasks.values()] == [
        each.retry for each in board.board.tasks.values()
    ]


@pytest.mark.parametrize("reassigns_failed", [False, True])
def test_a_retry_says_how_many_attempts_there_are(
    watched: Make, task: Make, reassigns_failed: bool
) -> None:
    board = watched(ends_when_done=False, reassigns_failed=reassigns_failed)
    for name in ("Ada", "Ben", "Cy"):
        board.join(name)
    board.begin()
    board.add(task(1, type="dig", retry=Retry(max_attempts=2, wait_s=0)))
    board.fail(1)
    board.fail(1)
    assert board.status(1) is TaskStatus.FAILED
    assert board.record(1).attempt == 2


# ---------------------------------------------------------------- what a handler asks for


def test_a_handler_may_ask_for_a_later_attempt_which_is_no_sign_of_skill(
    watched: Make, task: Make
) -> None:
    board = watched(ends_when_done=False, quarantine_after=1)
    board.join("Ada")
    board.begin()
    board.add(task(1, type="dig", retry=STEADY))
    before = board.board.workers["Ada"].stats.completed_tasks
    board.report(1, success=False, cost=2.0, **LATER)
    worker, record = board.board.workers["Ada"], board.record(1)
    assert record.wait_until == 7.0
    assert record.wait_reason == "retry 2 of 4 after RetryLater"
    assert record.attempts[0].outcome is AttemptOutcome.POSTPONED
    assert (worker.stats.completed_tasks, worker.failures_in_a_row) == (before, 0)
    assert worker.quarantined_until is None
    assert (record.failures, record.failed_by, record.attempts[0].cost) == (1, frozenset(), 2.0)
    board.wait_until(7.0, hearing=["Ada"])
    assert record.worker == "Ada"


def test_asking_for_later_attempts_comes_to_an_end(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.add(task(1, type="dig", max_attempts=3), task(2, type="fly"))
    for at in (7.0, 14.0):
        board.report(1, success=False, **LATER)
        board.wait_until(at, hearing=["Ada"])
        if board.status(2) is TaskStatus.IN_PROGRESS:
            board.report(2, success=False, **LATER)
    board.report(1, success=False, **LATER)
    assert board.record(1).error_message == "RetryLater: busy; no attempt is left of 3"
    assert board.record(2).error_message == "RetryLater: busy; no attempt is left of 1"


def test_a_postponed_attempt_takes_no_step_of_a_ladder(crew: Make, task: Make) -> None:
    board = crew(Ada=5, Ben=5)
    board.add(task(1, type="dig", escalate=("Ada", "Ben"), retry=STEADY))
    board.report(1, success=False, **LATER)
    board.wait_until(7.0, hearing=["Ada", "Ben"])
    assert board.record(1).worker == "Ada"
    board.fail(1)
    board.wait_until(60.0, hearing=["Ada", "Ben"])
    assert board.record(1).worker == "Ben"


@pytest.mark.parametrize("reassigns_failed", [False, True])
@pytest.mark.parametrize("fields", [{"max_attempts": 3}, {"retry": STEADY}, {"votes": 3}], ids=str)
def test_a_handler_may_give_up_for_all(
    watched: Make, task: Make, fields: dict[str, Any], reassigns_failed: bool
) -> None:
    board = watched(ends_when_done=False, reassigns_failed=reassigns_failed)
    for name in ("Ada", "Ben", "Cy"):
        board.join(name)
    board.begin()
    board.add(task(1, type="dig", **fields))
    worker = board.record(1).worker
    board.report(1, success=False, **GIVES_UP)
    assert board.status(1) is TaskStatus.FAILED
    assert board.record(1).error_message == "GiveUp: never"
    assert board.board.workers[worker].failures_in_a_row == 1


# ---------------------------------------------------------------- reviews, votes, losses


def test_a_rejected_result_waits_as_a_failure_does(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.join("Rev", review_types=["dig"], task_types=["none"])
    board.add(task(1, type="dig", review=True, retry=STEADY))
    board.succeed(1, output="x")
    assert board.record(1).worker == "Rev"
    board.succeed(1, quality=0.0, output="too dark")
    assert board.record(1).wait_reason == "retry 2 of 4 after rejected"
    board.wait_until(10.0, hearing=["Ada", "Rev"])
    assert board.record(1).worker == "Ada"


@pytest.mark.parametrize(("fields", "is_over"), [(LATER, False), (GIVES_UP, True)], ids=str)
def test_a_reviewer_may_ask_for_it_too(
    crew: Make, task: Make, fields: dict[str, Any], is_over: bool
) -> None:
    board = crew(Ada=5)
    board.join("Rev", review_types=["dig"], task_types=["none"])
    board.add(task(1, type="dig", review=True, retry=STEADY))
    board.succeed(1, output="x")
    board.report(1, success=False, **fields)
    assert board.status(1) is (TaskStatus.FAILED if is_over else TaskStatus.PENDING)
    if not is_over:
        assert board.record(1).wait_until == 7.0
        board.wait_until(7.0, hearing=["Ada", "Rev"])
        assert board.record(1).attempts[-1].is_review


def test_one_vote_waits_while_others_go_on(crew: Make, task: Make) -> None:
    board = crew(Ada=5, Ben=5, Cy=5, Di=5)
    board.add(task(1, type="dig", votes=3, retry=STEADY))
    first = board.record(1).attempts[0]
    board.fail(1, worker=first.worker.name, attempt=1)
    assert board.record(1).wait_until == 10.0
    assert "one more" not in str(board.board.explain(1))
    assert "it waits until 00:00:10 UTC" in str(board.board.explain(1))
    for number in (2, 3):
        attempt = board.record(1).attempts[number - 1]
        board.succeed(1, worker=attempt.worker.name, attempt=number, output=number)
    assert board.status(1) is TaskStatus.PENDING
    board.wait_until(10.0, hearing=["Ada", "Ben", "Cy", "Di"])
    board.succeed(1, output=2)
    assert board.status(1) is TaskStatus.COMPLETED


@pytest.mark.parametrize(("own", "managers", "limit"), [(None, 2, 2), (0, 2, 0), (3, 2, 3)])
def test_a_task_is_lost_as_often_as_it_may(
    watched: Make, task: Make, own: int | None, managers: int, limit: int
) -> None:
    board = watched(ends_when_done=False, max_losses=managers)
    board.begin()
    board.add(task(1, type="dig", max_losses=own))
    for number in range(limit + 1):
        board.join("Ada", session=str(number))
        assert board.status(1) is TaskStatus.IN_PROGRESS
        board.leave("Ada")
    assert board.record(1).error_message == (
        f"worker lost: {limit + 1} times, last on Ada; its max_losses is {limit}"
    )


def test_a_loss_has_no_wait_and_uses_no_attempt(crew: Make, task: Make) -> None:
    board = crew(Ada=5, Ben=5)
    board.add(task(1, type="dig", retry=Retry(max_attempts=1, wait_s=10)))
    board.leave(board.record(1).worker)
    assert board.status(1) is TaskStatus.IN_PROGRESS


def test_a_task_that_is_tried_again_by_hand_has_all_its_attempts(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.add(task(1, type="dig", retry=Retry(max_attempts=2, wait_s=10, jitter=0)))
    board.fail(1)
    board.cancel(1)
    board.handle(RetryRequested((1,), "by hand"))
    assert board.status(1) is TaskStatus.IN_PROGRESS
    board.fail(1)
    assert board.record(1).wait_until == 10.0
    assert OccurrenceKind.TASK_DELAYED in board.happened(1)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"retry": 3}, "retry is 3; it must be a muster.messages.Retry"),
        ({"retry": {"max_attempts": 3}}, "must be a muster.messages.Retry"),
        ({"retries": Retry()}, "must be a dict with a Retry for each task type"),
        ({"retries": {"dig": 3}}, "retries has 3 for 'dig'"),
        ({"retries": {3: Retry()}}, "for 3; it must be"),
        ({"max_losses": -1}, "max_losses is -1"),
        ({"max_losses": 1_001}, "max_losses is 1001; it must be from 0 to 1,000"),
    ],
    ids=str,
)
def test_a_manager_refuses_what_is_no_retry(
    watched: Make, given: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidInput, match=told):
        watched(**given)
