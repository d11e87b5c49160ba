"""Short tasks go to workers ahead of their free slots, in order, and come back when others idle."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.kernel.board.restoration import read_board
from muster.agents.kernel.board.rows import changed_rows
from muster.agents.kernel.model.config import Rules
from muster.agents.kernel.model.duration_estimate import QUICK_S, SHORTEST_S, DurationEstimate
from muster.agents.kernel.model.events import ListeningStarted, RetirementRequested, TasksGivenBack
from muster.agents.kernel.model.instructions import SendAssignment, SendCancel, SendRecall
from muster.agents.kernel.model.occurrences import OccurrenceKind
from muster.agents.kernel.model.records import MAX_PREFETCHED, AttemptOutcome
from muster.agents.store.memory import SharedRows
from muster.messages import IllegalTransition, InvalidInput, Task, TaskStatus

Watched = Callable[..., Any]


@pytest.fixture
def busy(watched: Watched, task: Callable[..., Task]) -> Callable[..., Any]:
    """A board on which one worker has done some tasks of 0.1 s, and has others ahead."""

    def make(done: int = 4, tasks: int = 30, **fields: Any) -> Any:
        board = watched(ends_when_done=False, prefetch_s=1.0, **fields)
        board.join("Ada")
        board.begin()
        board.add(*(task(number, type="sing") for number in range(1, tasks + 1)))
        for number in range(1, done + 1):
            board.succeed(number, execution_time=0.1)
        return board

    return make


def ahead_of(board: Any, name: str) -> list[Any]:
    return [task_id for task_id, _ in board.board.workers[name].prefetched]


def running_at(board: Any, name: str) -> list[Any]:
    return [task_id for task_id, _ in board.board.workers[name].running]


def test_a_worker_gets_as_many_ahead_as_were_quick_in_a_row(busy: Callable[..., Any]) -> None:
    board = busy(done=1)
    assert (running_at(board, "Ada"), ahead_of(board, "Ada")) == ([2], [3])
    board.succeed(2, execution_time=0.1)
    assert (running_at(board, "Ada"), ahead_of(board, "Ada")) == ([3], [4, 5])


def test_a_worker_gets_no_more_ahead_than_it_does_in_the_time_allowed(
    busy: Callable[..., Any],
) -> None:
    board = busy(done=12)
    assert len(ahead_of(board, "Ada")) <= 10
    assert board.board.workers["Ada"].prefetched_s <= 1.0


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_no_more_tasks_fail_in_a_row_than_begin_a_quarantine(
    busy: Callable[..., Any], limit: int
) -> None:
    board = busy(done=6, tasks=60, quarantine_after=limit, quarantine_s=10.0)
    failed = 0
    # A worker goes on by itself with what it holds, whatever its manager has heard so far.
    while held := [*running_at(board, "Ada"), *ahead_of(board, "Ada")]:
        for number in held:
            board.fail(number, execution_time=0.1)
            failed += 1
    assert failed == limit
    board.wait_until(10.0)
    assert len([*running_at(board, "Ada"), *ahead_of(board, "Ada")]) <= limit


def test_after_a_success_a_worker_gets_as_many_ahead_as_before(busy: Callable[..., Any]) -> None:
    board = busy(done=6, tasks=60, quarantine_after=4)
    assert len(ahead_of(board, "Ada")) == 3
    (running,) = running_at(board, "Ada")
    board.fail(running, execution_time=0.1)
    assert len(ahead_of(board, "Ada")) == 2
    (running,) = running_at(board, "Ada")
    board.succeed(running, execution_time=0.1)
    assert len(ahead_of(board, "Ada")) >= 2


def test_nothing_goes_ahead_where_tasks_take_longer_than_that(
    watched: Watched, task: Callable[..., Task]
) -> None:
    board = watched(ends_when_done=False, prefetch_s=1.0)
    board.join("Ada")
    board.begin()
    board.add(*(task(number, type="sing") for number in range(1, 10)))
    board.succeed(1, execution_time=1.5)
    board.succeed(2, execution_time=1.5)
    assert (running_at(board, "Ada"), ahead_of(board, "Ada")) == ([3], [])


def test_nothing_goes_ahead_by_default(watched: Watched, task: Callable[..., Task]) -> None:
    board = watched(ends_when_done=False)
    board.join("Ada")
    board.begin()
    board.add(*(task(number, type="sing") for number in range(1, 10)))
    board.succeed(1, execution_time=0.0)
    assert (running_at(board, "Ada"), ahead_of(board, "Ada")) == ([2], [])


def test_a_free_slot_comes_before_anything_ahead(
    busy: Callable[..., Any], task: Callable[..., Task]
) -> None:
    board = busy(tasks=5)
    board.join("Ben")
    board.add(task(6, type="sing"))
    assert running_at(board, "Ben") == [6]


def test_tasks_go_ahead_in_the_order_of_their_urgency(
    busy: Callable[..., Any], task: Callable[..., Task]
) -> None:
    board = busy(done=0)
    board.add(task("urgent", type="sing", priority=1))
    board.succeed(1, execution_time=0.1)
    assert (running_at(board, "Ada"), ahead_of(board, "Ada")) == (["urgent"], [2])


def test_a_task_whose_length_is_unknown_goes_ahead_of_nothing(
    busy: Callable[..., Any], task: Callable[..., Task]
) -> None:
    board = busy()
    before = ahead_of(board, "Ada")
    board.add(task("unknown", type="paint", priority=1))
    board.succeed(5, execution_time=0.1)
    assert "unknown" not in ahead_of(board, "Ada")
    assert len(ahead_of(board, "Ada")) < len(before)


def test_an_attempt_that_waits_times_out_only_once_it_has_a_slot(
    watched: Watched, task: Callable[..., Task]
) -> None:
    board = watched(ends_when_done=False, prefetch_s=1.0)
    board.join("Ada")
    board.begin()
    board.add(*(task(number, type="sing", timeout=3.0) for number in range(1, 10)))
    board.succeed(1, execution_time=0.1)
    assert ahead_of(board, "Ada") == [3]
    assert board.record(2).deadline == 3.0
    assert board.record(3).deadline is None
    board.wait_until(2.0, hearing=["Ada"])
    board.succeed(2, execution_time=2.0)
    assert running_at(board, "Ada") == [3]
    assert board.record(3).deadline == 5.0


def test_what_waits_behind_a_long_task_is_asked_back_for_a_worker_that_is_free(
    busy: Callable[..., Any], only: Callable[..., list[Any]]
) -> None:
    board = busy(tasks=9)
    assert (running_at(board, "Ada"), ahead_of(board, "Ada")) == ([5], [6, 7, 8, 9])
    board.join("Ben")
    said = board.wait_until(0.1)
    assert only(SendRecall, said) == [SendRecall("at Ada", ((6, 1), (7, 1), (8, 1), (9, 1)))]
    said = board.handle(TasksGivenBack("at Ada", ((7, 1), (8, 1))))
    given = [(each.assignment.task.id, each.worker_id) for each in only(SendAssignment, said)]
    assert given[0] == (7, "at Ben")
    assert board.record(7).attempts[0].outcome is AttemptOutcome.NOT_BEGUN
    assert board.record(7).failures == board.record(7).losses == 0
    assert OccurrenceKind.TASK_REQUEUED in board.happened(7)
    # What was not given back has begun there; nobody else gets it.
    assert board.places()[6] == board.places()[9] == "Ada"
    assert only(SendRecall, board.wait_until(5.0, hearing=["Ada", "Ben"])) == []


def test_nothing_is_asked_back_while_nobody_is_free_for_it(
    busy: Callable[..., Any], only: Callable[..., list[Any]]
) -> None:
    board = busy(tasks=9)
    board.join("Ben", task_types=frozenset({"paint"}))
    assert only(SendRecall, board.wait_until(5.0, hearing=["Ada", "Ben"])) == []


def test_what_nobody_asked_for_is_not_taken_back(busy: Callable[..., Any]) -> None:
    board = busy(tasks=9)
    board.handle(TasksGivenBack("at Ada", ((6, 1), (5, 1), (99, 1))))
    assert board.places()[6] == board.places()[5] == "Ada"


def test_a_lost_worker_is_no_loss_to_what_it_had_not_begun(busy: Callable[..., Any]) -> None:
    board = busy(tasks=9, max_losses=0)
    board.leave("Ada")
    assert board.status(5) is TaskStatus.FAILED
    assert [board.status(number) for number in (6, 7, 8, 9)] == [TaskStatus.PENDING] * 4
    assert board.record(6).losses == 0


def test_a_cancel_reaches_what_waits_and_takes_no_slot(
    busy: Callable[..., Any], only: Callable[..., list[Any]]
) -> None:
    board = busy(tasks=9)
    said = board.cancel(7)
    assert [each.task_id for each in only(SendCancel, said)] == [7]
    assert ahead_of(board, "Ada") == [6, 8, 9]
    assert board.board.workers["Ada"].taken == 1
    assert board.report(7, success=False, error_message="cancelled: by the user") == []
    assert board.board.workers["Ada"].withdrawn == {}


def test_what_a_worker_was_to_stop_and_does_not_hold_takes_no_slot_any_more(
    busy: Callable[..., Any],
) -> None:
    board = busy(tasks=5)
    board.cancel(5)
    assert board.board.workers["Ada"].stopping.keys() == {(5, 1)}
    assert board.handle(TasksGivenBack("at Ada", ((5, 1), (99, 1)))) == []
    assert board.board.workers["Ada"].stopping == {}
    assert board.board.workers["Ada"].taken == 0
    assert board.status(5) is TaskStatus.CANCELLED


def test_a_late_success_of_what_was_thought_not_begun_counts(busy: Callable[..., Any]) -> None:
    board = busy(tasks=9)
    board.leave("Ada")
    board.report(6, "at Ada", success=True, worker="Ada", attempt=1)
    assert board.status(6) is TaskStatus.COMPLETED


def test_who_holds_something_ahead_is_not_retired(busy: Callable[..., Any]) -> None:
    board = busy(tasks=9)
    with pytest.raises(IllegalTransition, match="holds 1 tasks"):
        board.handle(RetirementRequested("Ada"))


def test_what_is_told_of_a_task_that_waits_at_a_worker(busy: Callable[..., Any]) -> None:
    board = busy(tasks=9)
    assert board.board.explain(6).headline == (
        "waits for a slot at Ada, where it was sent ahead: attempt 1 at Ada"
    )


def test_workers_are_provided_alike(watched: Watched, task: Callable[..., Task]) -> None:
    board = watched(ends_when_done=False, prefetch_s=1.0)
    board.join("Ada")
    board.join("Ben")
    board.begin()
    board.add(*(task(number, type="sing") for number in range(1, 101)))
    for number in range(1, 21):
        board.succeed(number, execution_time=0.001)
    board.add(*(task(number, type="sing") for number in range(101, 141)))
    board.succeed(21, execution_time=0.001)
    ahead = sorted(len(ahead_of(board, name)) for name in ("Ada", "Ben"))
    assert ahead[1] <= ahead[0] + 20
    assert max(ahead) <= MAX_PREFETCHED


def test_what_waits_at_a_worker_that_was_away_is_looked_after_again(
    busy: Callable[..., Any], only: Callable[..., list[Any]]
) -> None:
    board = busy(tasks=9)
    kept = SharedRows()
    said = [each for each in board.said if each is not None]
    kept.keep(changed_rows(board.board, said))
    board.board = read_board(kept.read(), board.board.rules, now=board.now)
    board.handle(ListeningStarted())
    board.wait_until(1.0)
    holding = frozenset((number, 1) for number in (5, 6, 7, 8, 9))
    board.join("Ada", call=2, holding=holding)
    assert ahead_of(board, "Ada") == [6, 7, 8, 9]
    board.join("Ben")
    assert len(only(SendRecall, board.wait_until(1.2, hearing=["Ada", "Ben"]))) == 1


@pytest.mark.parametrize("prefetch_s", [-0.1, math.inf, math.nan, 11.0])
def test_how_much_goes_ahead_is_bounded(prefetch_s: float) -> None:
    with pytest.raises(InvalidInput, match="prefetch_s is"):
        Rules(prefetch_s=prefetch_s)


# ------------------------------------------------------------------ how long tasks take


def test_before_any_was_done_a_task_takes_for_ever() -> None:
    usual = DurationEstimate()
    assert usual.expected_s == math.inf
    assert not usual.allows_prefetch(0)


def test_a_pause_of_the_worker_s_own_is_not_taken_for_a_long_task() -> None:
    usual = DurationEstimate()
    for _ in range(10):
        usual.learn(20e-6)
    usual.learn(0.9 * QUICK_S)
    assert usual.allows_prefetch(10)
    usual.learn(1.1 * QUICK_S)
    assert not usual.allows_prefetch(1)


def test_that_tasks_have_become_longer_is_believed_at_once() -> None:
    usual = DurationEstimate()
    for _ in range(10):
        usual.learn(0.001)
    assert usual.allows_prefetch(9)
    usual.learn(4.0)
    assert usual.expected_s > 2.0
    assert not usual.allows_prefetch(1)


def test_that_tasks_have_become_shorter_is_believed_step_by_step() -> None:
    usual = DurationEstimate()
    usual.learn(8.0)
    usual.learn(0.0)
    assert usual.expected_s == pytest.approx(7.0, rel=1e-4)


def test_no_task_is_believed_to_take_no_time() -> None:
    usual = DurationEstimate()
    usual.learn(0.0)
    assert usual.expected_s == SHORTEST_S
