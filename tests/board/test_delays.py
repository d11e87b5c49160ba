"""A task with a `not_before` begins no earlier, whatever else happens to it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from muster.agents.kernel.board.restoration import read_board
from muster.agents.kernel.board.rows import changed_rows
from muster.agents.kernel.board.stuck_tasks import find_stuck_tasks
from muster.agents.kernel.model.events import (
    HandOut,
    ListeningStarted,
    RecoveryRequested,
    RestConfirmed,
    RetryRequested,
    StopRequested,
    TasksHandedOut,
    TimePassed,
)
from muster.agents.kernel.model.instructions import ComeToRest
from muster.agents.kernel.model.occurrence_text import describe_facts
from muster.agents.kernel.model.occurrences import OccurrenceKind
from muster.agents.store.memory import SharedRows
from muster.messages import Task, TaskStatus, decode_message, encode_message
from muster.messages.codec import decode_task, encode_task
from muster.messages.work import TaskAssignment
from pydantic import ValidationError

Make = Callable[..., Any]
AT_30_S = datetime(1970, 1, 1, 0, 0, 30, tzinfo=timezone.utc)
TIMES = [30, 30.0, AT_30_S, AT_30_S.astimezone(timezone(timedelta(hours=-5)))]


@pytest.mark.parametrize("not_before", TIMES, ids=str)
def test_it_begins_at_its_time_and_no_earlier(crew: Make, task: Make, not_before: Any) -> None:
    board = crew(Ada=5)
    board.add(task(1, type="dig", not_before=not_before), task(2, type="dig", depends_on=(1,)))
    board.wait_until(29.9, hearing=["Ada"])
    assert board.places() == {}
    board.wait_until(30.0, hearing=["Ada"])
    assert board.places() == {1: "Ada"}
    board.succeed(1)
    assert board.places() == {2: "Ada"}


@pytest.mark.parametrize("not_before", [0, datetime(1970, 1, 1, tzinfo=timezone.utc)])
def test_a_time_that_has_passed_delays_nothing(crew: Make, task: Make, not_before: Any) -> None:
    board = crew(Ada=5)
    board.now = 1.0
    board.add(task(1, type="dig", not_before=not_before))
    assert board.places() == {1: "Ada"}
    assert OccurrenceKind.TASK_DELAYED not in board.happened(1)


@pytest.mark.parametrize(("done_at", "begins_at"), [(10.0, 30.0), (40.0, 40.0)])
def test_it_waits_for_its_time_and_its_dependencies_at_once(
    crew: Make, task: Make, done_at: float, begins_at: float
) -> None:
    board = crew(Ada=5, Ben=5)
    board.add(task(1, type="dig"), task(2, type="dig", depends_on=(1,), not_before=30))
    board.wait_until(done_at, hearing=["Ada", "Ben"])
    assert any("waits until 00:00:30 UTC" in each for each in explain(board, 2)) is (done_at < 30)
    board.succeed(1)
    board.wait_until(begins_at, hearing=["Ada", "Ben"])
    assert board.record(2).attempts[0].started_at == begins_at


def test_seconds_last_as_long_as_those_of_timeouts(watched: Make, task: Make) -> None:
    board = watched(ends_when_done=False, time_scale=0.1)
    board.join("Ada")
    board.begin()
    board.add(task(1, type="dig", not_before=30))
    board.wait_until(3.0)
    assert board.places() == {1: "Ada"}


@pytest.mark.parametrize("away_until", [20.0, 40.0])
@pytest.mark.parametrize("not_before", [30, AT_30_S], ids=str)
def test_it_waits_the_rest_only_after_a_restart(
    crew: Make, task: Make, not_before: Any, away_until: float
) -> None:
    board = crew(Ada=5)
    board.add(task(1, type="dig", not_before=not_before))
    kept = SharedRows()
    kept.keep(changed_rows(board.board, board.said))
    board.now = away_until
    board.board = read_board(
        kept.read(), board.board.rules, board.board.queue.policy, now=board.now
    )
    assert board.record(1).wait_until == (30.0 if away_until < 30.0 else None)
    board.handle(ListeningStarted())
    board.join("Ada", session="2")
    board.handle(TimePassed())
    board.wait_until(max(away_until, 30.0), hearing=["Ada"])
    assert [each.started_at for each in board.record(1).attempts] == [max(away_until, 30.0)]


def test_the_wait_is_told_with_its_time_and_reason(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.add(task(1, not_before=30), task(2, not_before=datetime(2030, 1, 2, tzinfo=timezone.utc)))
    board.wait_until(10.0, hearing=["Ada"])
    assert explain(board, 1) == [
        "task 1 waits until 00:00:30 UTC (its not_before), 20.0 s more",
    ]
    assert "waits until 2030-01-02 00:00:00 UTC (its not_before)" in explain(board, 2)[0]
    told = board.record(1).story[-1]
    assert describe_facts(told) == "until 00:00:30 UTC (its not_before)"
    board.handle(StopRequested())
    assert explain(board, 1) == ["task 1 waits no more: the run was stopped"]


def test_it_is_not_stuck_and_no_unmatched_timeout_runs(watched: Make, task: Make) -> None:
    board = watched(unmatched_after_s=5.0)
    board.join("Ada", skill=1)
    board.add(task(1, 9, not_before=30))
    board.begin()
    board.wait_until(29.0, hearing=["Ada"])
    assert find_stuck_tasks(board.board) == ()
    board.wait_until(34.0, hearing=["Ada"])
    assert board.status(1) is TaskStatus.PENDING
    board.wait_until(36.0, hearing=["Ada"])
    assert board.status(1) is TaskStatus.FAILED


def test_the_run_goes_on_while_something_waits(watched: Make, task: Make) -> None:
    board = watched()
    board.join("Ada")
    board.add(task(1, type="dig", not_before=30))
    board.begin()
    board.wait_until(29.0, hearing=["Ada"])
    assert not board.board.has_ended
    board.wait_until(30.0, hearing=["Ada"])
    board.succeed(1)
    assert board.board.has_ended


def test_held_tasks_stay_held_while_another_waits(watched: Make, task: Make, only: Make) -> None:
    board = watched(confirms_end=True)
    board.join("Ada")
    board.add(task(1, type="dig", not_before=30), task(2, type="dig"))
    board.handle(TasksHandedOut((HandOut(1),)))
    assert not only(ComeToRest, board.said)
    board.wait_until(30.0, hearing=["Ada"])
    board.succeed(1)
    assert len(only(ComeToRest, board.said)) == 1
    board.handle(RestConfirmed())
    assert board.places() == {2: "Ada"}


def test_a_held_task_waits_for_its_time_too(watched: Make, task: Make) -> None:
    board = watched()
    board.join("Ada")
    board.add(task(1, type="dig"), task(2, type="dig", not_before=30))
    board.handle(TasksHandedOut((HandOut(1),)))
    board.succeed(1)
    board.wait_until(31.0, hearing=["Ada"])
    assert board.places() == {}
    board.handle(TasksHandedOut((HandOut(2),)))
    assert board.places() == {2: "Ada"}


def test_a_waiting_task_can_be_cancelled_and_tried_again(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.add(task(1, type="dig", not_before=30))
    board.now = 10.0
    board.cancel(1)
    assert board.board.next_timer_at() != 30.0
    board.handle(RetryRequested((1,), "by hand"))
    board.wait_until(29.0, hearing=["Ada"])
    assert board.places() == {}
    board.wait_until(30.0, hearing=["Ada"])
    assert board.places() == {1: "Ada"}


def test_what_is_tried_again_after_its_time_begins_at_once(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.add(task(1, type="dig", not_before=30))
    board.wait_until(30.0, hearing=["Ada"])
    board.fail(1)
    board.handle(RetryRequested((1,), "by hand"))
    assert board.places() == {1: "Ada"}
    board.fail(1)
    board.handle(RecoveryRequested(1))
    assert board.places() == {"1-recovery-1": "Ada"}


def test_a_new_priority_counts_when_its_time_has_come(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.add(task(3, type="dig"), task(1, type="dig", not_before=30), task(2, type="dig"))
    board.set_priority(1, 5)
    board.wait_until(30.0, hearing=["Ada"])
    assert board.places() == {3: "Ada"}
    board.succeed(3)
    assert board.places() == {1: "Ada"}


@pytest.mark.parametrize(
    ("not_before", "expires_at"), [(30, 40.0), (AT_30_S, 40.0), (0, 10.0), (None, 10.0)], ids=str
)
def test_its_expiry_counts_from_its_time(
    watched: Make, task: Make, not_before: Any, expires_at: float
) -> None:
    board = watched(ends_when_done=False, unmatched_after_s=None)
    board.begin()
    board.add(task(1, expires_s=10.0, not_before=not_before))
    board.wait_until(expires_at - 0.1)
    assert board.status(1) is TaskStatus.PENDING
    board.wait_until(expires_at)
    assert board.status(1) is TaskStatus.FAILED
    told = "expired: it had not begun 10 s after it was added"
    assert board.record(1).error_message.startswith(told)
    assert ("after its not_before" in board.record(1).error_message) is (not_before is not None)


def test_another_clock_before_the_run_keeps_the_seconds(watched: Make, task: Make) -> None:
    board = watched(ends_when_done=False)
    board.add(task(1, type="dig", not_before=30), task(2, type="dig", not_before=AT_30_S))
    board.now = 1_000.0
    board.board.move_to_another_clock(board.now)
    board.join("Ada", slots=2)
    board.begin()
    board.handle(TimePassed())
    assert board.places() == {2: "Ada"}
    board.wait_until(1_030.0, hearing=["Ada"])
    assert board.places() == {1: "Ada", 2: "Ada"}
    assert describe_facts(board.record(1).story[1]) == "until 00:17:10 UTC (its not_before)"


@pytest.mark.parametrize("not_before", [*TIMES, "1970-01-01T00:00:30+00:00", "30"], ids=str)
def test_the_time_travels(task: Make, not_before: Any) -> None:
    made = task(1, not_before=not_before)
    assert decode_task(encode_task(made)) == made
    assignment = TaskAssignment(made)
    assert decode_message(encode_message(assignment)) == assignment
    assert Task.model_validate_json(made.model_dump_json()) == made


@pytest.mark.parametrize(
    "not_before",
    [
        *(-1, float("nan"), float("inf"), "-1", 1_900_000_000, "1900000000", "soon", [30]),
        *("2030-01-01", "2030-01-01T09:00:00", datetime(2030, 1, 1)),  # noqa: DTZ001 - the fault
    ],
    ids=str,
)
def test_a_time_has_a_zone_or_is_a_number_of_seconds(not_before: Any) -> None:
    with pytest.raises(ValidationError, match="datetime with a time zone, or a number of seconds"):
        Task(not_before=not_before)


def explain(board: Any, task_id: int) -> list[str]:
    return board.board.explain(task_id).lines()
