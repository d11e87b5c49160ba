"""An attempt that waits for something holds no slot, does not time out, and keeps its lease."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.kernel.board.restoration import read_board
from muster.agents.kernel.board.rows import changed_rows
from muster.agents.kernel.model.events import (
    CancelRequested,
    ListeningStarted,
    ResumptionReported,
    RetirementRequested,
    SuspensionReported,
    TasksGivenBack,
    WorkerLeft,
)
from muster.agents.kernel.model.instructions import AskAboutLeases, SendCancel
from muster.agents.kernel.model.occurrences import OccurrenceKind
from muster.agents.kernel.model.records import MAX_STORY
from muster.agents.store.memory import SharedRows
from muster.messages import (
    AttemptResumed,
    AttemptSuspended,
    IllegalTransition,
    Limit,
    TaskStatus,
)

Make = Callable[..., Any]


def suspend(board: Any, task_id: Any, reason: str = "waits for 3 subtasks") -> None:
    record = board.record(task_id)
    message = AttemptSuspended(task_id=task_id, attempt=record.attempt, reason=reason)
    board.handle(SuspensionReported(f"at {record.worker}", message))


def resume(board: Any, task_id: Any) -> None:
    record = board.record(task_id)
    message = AttemptResumed(task_id=task_id, attempt=record.attempt)
    board.handle(ResumptionReported(f"at {record.worker}", message))


@pytest.fixture
def busy(watched: Make, task: Make) -> Any:
    """A board whose only worker has one slot, in which task 1 runs; task 2 waits."""
    board = watched(ends_when_done=False, prefetch_s=0.0)
    board.join("Ada", 9)
    board.add(task("parent", type="any", timeout=10.0), task("other", type="any"))
    board.begin()
    assert board.places() == {"parent": "Ada"}
    return board


def test_another_task_runs_in_the_slot_of_an_attempt_that_waits(busy: Any) -> None:
    suspend(busy, "parent")
    assert busy.places() == {"parent": "Ada", "other": "Ada"}
    assert busy.record("parent").suspended_for == "waits for 3 subtasks"
    assert busy.board.workers["Ada"].taken == 1
    lines = "\n".join(busy.board.explain("parent").lines())
    assert "Ada: attempt 1 waits for 3 subtasks; its slot is free" in lines
    busy.succeed("other")
    resume(busy, "parent")
    assert busy.record("parent").suspended_for == ""
    assert busy.board.workers["Ada"].taken == 1
    busy.succeed("parent")
    assert busy.happened("parent")[2:4] == [
        OccurrenceKind.ATTEMPT_SUSPENDED,
        OccurrenceKind.ATTEMPT_RESUMED,
    ]


def test_the_clock_of_its_timeout_stands_still_while_it_waits(busy: Any) -> None:
    busy.wait_until(6.0, hearing=["Ada"])
    suspend(busy, "parent")
    busy.wait_until(1_000.0, hearing=["Ada"])
    assert busy.status("parent") is TaskStatus.IN_PROGRESS
    resume(busy, "parent")
    busy.wait_until(1_003.9, hearing=["Ada"])
    assert busy.status("parent") is TaskStatus.IN_PROGRESS
    busy.wait_until(1_004.1, hearing=["Ada"])
    assert busy.status("parent") is TaskStatus.FAILED
    # The time in which it waited was no work: 10 s for the parent, 994 s for the other task.
    assert busy.board.workers["Ada"].stats.busy_time == pytest.approx(1_004.0)


def test_who_goes_on_has_its_slot_before_an_assignment_that_was_on_its_way(busy: Any) -> None:
    suspend(busy, "parent")
    # The worker gave the slot to the parent before it had read of the other task.
    resume(busy, "parent")
    worker = busy.board.workers["Ada"]
    assert list(worker.running) == [("parent", 1)]
    assert list(worker.prefetched) == [("other", 1)]
    busy.wait_until(100.0, hearing=["Ada"])
    busy.succeed("parent")
    assert list(worker.running) == [("other", 1)]


@pytest.mark.parametrize("is_confirmed_with_a_slot", [False, True])
def test_a_suspended_attempt_can_be_cancelled(
    busy: Any, only: Make, is_confirmed_with_a_slot: bool
) -> None:
    suspend(busy, "parent")
    busy.succeed("other")
    said = busy.handle(CancelRequested("parent"))
    assert [each.task_id for each in only(SendCancel, said)] == ["parent"]
    worker = busy.board.workers["Ada"]
    assert worker.is_free
    if is_confirmed_with_a_slot:
        # Its handler is woken, and cleans up in a slot.
        resume(busy, "parent")
        assert not worker.is_free
    busy.fail("parent", attempt=1)
    assert worker.is_free
    assert not worker.withdrawn


def test_a_lost_worker_loses_its_suspended_attempts(busy: Any) -> None:
    suspend(busy, "parent")
    busy.leave("Ada")
    assert busy.record("parent").losses == 1
    assert busy.record("parent").suspended_for == ""
    busy.join("Bob")
    assert busy.places()["parent"] == "Bob"


def test_a_worker_that_comes_back_keeps_its_suspended_attempts(busy: Any) -> None:
    suspend(busy, "parent")
    busy.succeed("other")
    busy.join("Ada", 9, call=2, worker_id="new", holding=frozenset({("parent", 1)}))
    assert busy.record("parent").suspended_for
    busy.join("Ada", 9, call=3, worker_id="newer", holding=frozenset())
    assert busy.record("parent").attempt == 2


def test_a_suspended_attempt_that_its_worker_does_not_hold_is_found(busy: Any, only: Make) -> None:
    suspend(busy, "parent")
    busy.now = 100.0
    asked = only(AskAboutLeases, busy.heard("Ada"))
    assert ("parent", 1) in asked[0].attempts
    busy.handle(TasksGivenBack("at Ada", (("parent", 1),)))
    assert busy.record("parent").losses == 1


def test_a_worker_whose_attempts_wait_is_not_retired(busy: Any) -> None:
    suspend(busy, "parent")
    busy.succeed("other")
    with pytest.raises(IllegalTransition, match="holds 1 tasks"):
        busy.handle(RetirementRequested("Ada"))


def test_many_waits_leave_room_for_the_rest_of_the_story(busy: Any) -> None:
    for _ in range(MAX_STORY):
        suspend(busy, "parent")
        resume(busy, "parent")
    assert len(busy.happened("parent")) < 10
    assert busy.record("parent").forgotten > MAX_STORY


@pytest.mark.parametrize("has_resumed", [False, True])
def test_a_new_manager_knows_which_attempts_are_suspended(busy: Any, has_resumed: bool) -> None:
    kept = SharedRows()
    kept.keep(changed_rows(busy.board, busy.said))
    busy.now = 6.0
    before = len(busy.said)
    suspend(busy, "parent")
    busy.succeed("other")
    if has_resumed:
        busy.now = 8.0
        resume(busy, "parent")
    kept.keep(changed_rows(busy.board, busy.said[before:]))
    again = read_board(kept.read(), busy.board.rules, now=50.0)
    again.handle(ListeningStarted(), 50.0)
    worker = again.workers["Ada"]
    attempt = again.tasks["parent"].attempts[0]
    if has_resumed:
        assert list(worker.running) == [("parent", 1)]
        assert (attempt.deadline, attempt.suspended_s) == (12.0, 2.0)
    else:
        assert list(worker.suspended) == [("parent", 1)]
        assert attempt.suspended_for == "waits for 3 subtasks"
        assert (attempt.deadline, attempt.left_s) == (None, 4.0)


@pytest.mark.parametrize("is_orderly", [False, True])
@pytest.mark.parametrize("others", [0, 2])
def test_a_parent_that_fails_with_its_worker_cancels_the_subtasks_that_this_worker_had(
    watched: Make, task: Make, is_orderly: bool, others: int
) -> None:
    board = watched(
        ends_when_done=False, prefetch_s=10.0, on_late="fail", limits=(Limit("any", concurrent=9),)
    )
    board.join("Ada", 9, slots=2)
    # It is late when it is requeued.
    board.add(task("parent", type="any", deadline=5.0, max_losses=0))
    board.begin()
    suspend(board, "parent")
    children = [f"child {number}" for number in range(others + 1)]
    board.add(
        *(
            task(each, type="any", parent_id="parent", on_parent_cancel="cancel")
            for each in children
        )
    )
    suspend(board, children[0])
    board.wait_until(6.0, hearing=["Ada"])
    board.handle(WorkerLeft("at Ada", "stopped", is_orderly=is_orderly))
    assert board.status("parent") is TaskStatus.FAILED
    assert {board.status(each) for each in children} == {TaskStatus.CANCELLED}
    assert not board.board.queue.limiter.held()


@pytest.mark.parametrize("is_orderly", [False, True])
def test_what_a_worker_had_that_is_gone_does_not_count_for_a_limit_any_more(
    watched: Make, task: Make, is_orderly: bool
) -> None:
    board = watched(ends_when_done=False, limits=(Limit("any", concurrent=1),))
    board.join("Ada", 9)
    board.join("Ben", 5)
    board.add(task(1, type="any"), task(2, type="any"))
    board.begin()
    (place,) = board.places().values()
    board.handle(WorkerLeft(f"at {place}", "stopped", is_orderly=is_orderly))
    assert len(board.places()) == 1
