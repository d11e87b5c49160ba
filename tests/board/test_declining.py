"""A worker that declines a task has not failed it: another one gets the task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.kernel.board.attempt_results import MAX_DECLINES
from muster.agents.kernel.board.restoration import read_board
from muster.agents.kernel.board.rows import changed_rows
from muster.agents.kernel.matching.policy_names import POLICIES
from muster.agents.kernel.model.config import Rules
from muster.agents.kernel.model.occurrences import OccurrenceKind
from muster.agents.kernel.model.records import AttemptOutcome
from muster.agents.store.memory import SharedRows
from muster.messages import TaskStatus

Make = Callable[..., Any]
REASON = "needs a vision model"


def decline(board: Any, task_id: int, reason: str | None = REASON, **fields: Any) -> None:
    board.report(task_id, success=False, declined=True, error_message=reason, **fields)


@pytest.mark.parametrize("policy", sorted(POLICIES))
@pytest.mark.parametrize("success", [False, True])
def test_a_declined_task_goes_to_another_worker_and_loses_no_attempt(
    crew: Make, task: Make, policy: str, success: bool
) -> None:
    board = crew(policy, Ada=5, Ben=5)
    board.add(task(1))
    assert board.places() == {1: "Ada"}
    board.report(1, success=success, declined=True, error_message=None if success else REASON)
    assert board.places() == {1: "Ben"}
    record, ada = board.record(1), board.board.workers["Ada"]
    assert (record.failures, record.losses, record.error_message) == (0, 0, None)
    assert record.attempts[0].outcome is AttemptOutcome.DECLINED
    assert (ada.stats.completed_tasks, ada.stats.total_time) == (0, 0.0)
    assert ada.failures_in_a_row == 0
    board.succeed(1)
    assert board.status(1) is TaskStatus.COMPLETED
    assert board.happened(1)[2:4] == [OccurrenceKind.ATTEMPT_DECLINED, OccurrenceKind.TASK_REQUEUED]


def test_declining_starts_no_quarantine_and_ends_no_row_of_failures(
    watched: Make, task: Make
) -> None:
    board = watched("in_order", ends_when_done=False, quarantine_after=2)
    board.join("Ada", slots=5)
    board.begin()
    for number in range(1, 5):
        board.add(task(number, type="dig"))
        if number == 2:
            board.fail(number)
        else:
            decline(board, number)
    assert board.board.workers["Ada"].failures_in_a_row == 1
    assert board.board.workers["Ada"].quarantined_until is None


def test_it_never_goes_back_while_another_could_have_it(crew: Make, task: Make) -> None:
    board = crew("in_order", Ada=5, Ben=5)
    board.add(task(1, max_attempts=4))
    decline(board, 1)
    board.fail(1)
    # Ben has failed it, but Ada will not have it.
    assert board.places() == {1: "Ben"}
    board.add(task(2), task(3))
    assert board.places() == {1: "Ben", 2: "Ada"}
    board.succeed(2)
    assert board.places() == {1: "Ben", 3: "Ada"}


def test_it_fails_with_each_reason_when_all_that_could_have_it_declined(
    crew: Make, task: Make
) -> None:
    board = crew("best_fit", Ada=5, Ben=5, Weak=1)
    board.add(task(1, 4), task(2, depends_on=(1,)))
    decline(board, 1)
    decline(board, 1, None)
    error = f"declined: Ada: {REASON}; Ben: no reason given"
    assert board.status(1) is TaskStatus.FAILED
    assert board.record(1).error_message == error
    assert board.record(1).result.error_message == error
    assert not board.record(1).result.success
    assert board.status(2) is TaskStatus.CANCELLED


def test_it_waits_if_the_others_leave_and_then_fails_with_the_reasons(
    crew: Make, task: Make
) -> None:
    board = crew("in_order", Ada=5, Ben=5)
    board.add(task(1), task(2), task(3))
    decline(board, 1)
    board.leave("Ben")
    assert board.places() == {3: "Ada"}
    headline = f"waits: declined: Ada: {REASON}; it fails in 30.0 s"
    assert board.board.explain(1).headline == headline
    board.wait_until(30.0, hearing=["Ada"])
    assert board.record(1).error_message == f"declined: Ada: {REASON}"


def test_after_many_declines_it_fails_even_if_others_could_have_it(
    watched: Make, task: Make
) -> None:
    board = watched("in_order", ends_when_done=False)
    for number in range(MAX_DECLINES + 5):
        board.handle_join_unchecked(f"w{number}")
    board.begin()
    board.add(task(1))
    for _ in range(MAX_DECLINES):
        decline(board, 1, "x" * 5_000)
    assert board.status(1) is TaskStatus.FAILED
    assert len(board.record(1).attempts) == MAX_DECLINES
    assert board.record(1).error_message.endswith("and 92 more")
    assert len(board.record(1).error_message) < 2_000


def test_a_late_refusal_changes_nothing(crew: Make, task: Make) -> None:
    board = crew("in_order", Ada=5, Ben=5)
    board.add(task(1, timeout=2.0, max_attempts=2))
    board.wait_until(2.0)
    assert board.places() == {1: "Ben"}
    decline(board, 1, attempt=1, worker="Ada")
    assert board.places() == {1: "Ben"}
    assert board.record(1).declined_by == frozenset()


def test_a_declined_attempt_costs_its_time_but_no_fee(watched: Make, task: Make) -> None:
    board = watched("in_order", ends_when_done=False)
    board.join("Ada", cost_per_s=0.5, cost_per_task=2.0)
    board.begin()
    board.add(task(1, type="dig"))
    decline(board, 1, execution_time=3.0)
    assert board.board.budget.spent == 1.5


def test_who_declined_is_known_after_a_restart(crew: Make, task: Make) -> None:
    board, kept = crew("in_order", Ada=5, Ben=5), SharedRows()
    board.add(task(1))
    decline(board, 1)
    kept.keep(changed_rows(board.board, board.said))
    restored = read_board(kept.read(), Rules(), board.board.queue.policy, now=board.now)
    assert restored.tasks[1].declined_by == {"Ada"}


def test_the_explanation_names_who_declined(crew: Make, task: Make) -> None:
    board = crew("in_order", Ada=5, Ben=5)
    board.add(task(9), task(8))
    board.add(task(1))
    board.succeed(9)
    decline(board, 1)
    told = board.board.explain(1).lines()
    assert told[0] == "task 1 waits for a free slot: all workers that can run it are busy"
    assert "  Ada: declined it" in told
