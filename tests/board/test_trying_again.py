"""A settled task begins anew when somebody asks for it, with those that were cancelled with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.kernel.board.restoration import read_board
from muster.agents.kernel.board.rows import changed_rows
from muster.agents.kernel.model.events import RetryRequested, StopRequested
from muster.agents.kernel.model.occurrence_text import describe_facts
from muster.agents.kernel.model.occurrences import Occurrence, OccurrenceKind, RetryFacts
from muster.agents.store.memory import SharedRows
from muster.messages import IllegalTransition, Task, TaskStatus, UnknownTask


def test_a_failed_task_begins_anew_with_all_its_attempts_and_its_story_says_who_asked(
    crew: Callable[..., Any], task: Callable[..., Task]
) -> None:
    board = crew(Ada=8)
    board.add(task(1, max_attempts=2))
    board.fail(1)
    board.fail(1)
    assert board.status(1) is TaskStatus.FAILED

    board.handle(RetryRequested((1,), "on the live page"))
    record = board.record(1)
    assert record.status is TaskStatus.IN_PROGRESS
    assert (record.attempt, record.failures, record.error_message) == (3, 0, None)
    assert board.board.results == ()
    told = [each for each in record.story if each.what is OccurrenceKind.TASK_RETRIED]
    assert [each.facts for each in told] == [RetryFacts(TaskStatus.FAILED, "on the live page")]
    assert describe_facts(told[0]) == "on the live page"
    # It may fail once more, as a new one may.
    board.fail(1)
    assert board.status(1) is TaskStatus.IN_PROGRESS
    board.succeed(1)
    assert board.status(1) is TaskStatus.COMPLETED
    assert board.board.results[0].attempt == 4


def test_dependents_that_were_cancelled_for_its_sake_are_put_back(
    crew: Callable[..., Any], task: Callable[..., Task]
) -> None:
    board = crew(Ada=8)
    board.add(task(1), task("a", depends_on=(1,)), task("b", depends_on=("a",)))
    board.add(task("c", depends_on=(1,)))
    board.cancel("c", "not wanted")
    board.fail(1)
    assert board.status("a") is board.status("b") is TaskStatus.CANCELLED

    board.handle(RetryRequested((1,)))
    assert board.status("a") is board.status("b") is TaskStatus.PENDING
    # The user cancelled this one, not the dependency.
    assert board.status("c") is TaskStatus.CANCELLED
    again = board.record("b").story[-1]
    assert describe_facts(again) == "dependency: task a begins anew"
    for each in (1, "a", "b"):
        board.succeed(each)
    assert board.status("b") is TaskStatus.COMPLETED
    assert board.record("c").unfinished == 0


def test_a_dependent_of_two_failed_tasks_is_put_back_with_the_second(
    crew: Callable[..., Any], task: Callable[..., Task]
) -> None:
    board = crew(Ada=8, Ben=8)
    board.add(task(1), task(2), task(3, depends_on=(1, 2)))
    board.fail(1)
    board.fail(2)
    board.handle(RetryRequested((1,)))
    assert board.status(3) is TaskStatus.CANCELLED
    with pytest.raises(IllegalTransition, match=r"depends on task 2, which is failed"):
        board.handle(RetryRequested((3,)))
    board.succeed(1)
    board.handle(RetryRequested((2,)))
    assert board.status(3) is TaskStatus.PENDING
    board.succeed(2)
    assert board.status(3) is TaskStatus.IN_PROGRESS


def test_either_all_of_several_begin_anew_or_none(
    crew: Callable[..., Any], task: Callable[..., Task]
) -> None:
    board = crew(Ada=8)
    board.add(task(1), task(2))
    board.fail(1)
    with pytest.raises(IllegalTransition, match=r"task 2 is in_progress; only a failed or"):
        board.handle(RetryRequested((1, 2)))
    with pytest.raises(UnknownTask):
        board.handle(RetryRequested((1, 7)))
    assert board.status(1) is TaskStatus.FAILED
    board.cancel(2)
    board.handle(RetryRequested((1, 2, 1)))
    assert {board.status(1), board.status(2)} == {TaskStatus.PENDING, TaskStatus.IN_PROGRESS}


def test_its_time_limits_count_from_the_new_beginning(
    crew: Callable[..., Any], task: Callable[..., Task]
) -> None:
    board = crew("best_fit", Ada=8)
    board.add(task(1), task(2, expires_s=2.0))
    board.wait_until(3.0, hearing=["Ada"])
    assert "2 s after it was added" in board.record(2).error_message
    board.handle(RetryRequested((2,)))
    board.wait_until(4.0, hearing=["Ada"])
    assert board.status(2) is TaskStatus.PENDING
    board.wait_until(6.0, hearing=["Ada"])
    assert "2 s after it began anew" in board.record(2).error_message


def test_the_late_success_of_a_former_attempt_counts(
    crew: Callable[..., Any], task: Callable[..., Task]
) -> None:
    board = crew(Ada=8, Ben=3)
    board.add(task(1, timeout=1.0))
    board.wait_until(2.0, hearing=["Ada", "Ben"])
    assert board.status(1) is TaskStatus.FAILED
    board.handle(RetryRequested((1,)))
    former = board.record(1).attempts[0].worker.name
    board.succeed(1, attempt=1, worker=former)
    assert board.status(1) is TaskStatus.COMPLETED
    assert board.board.results[0].attempt == 1


def test_after_the_end_of_the_run_nothing_begins_anew(
    crew: Callable[..., Any], task: Callable[..., Task]
) -> None:
    board = crew(Ada=8)
    board.add(task(1))
    board.fail(1)
    board.handle(StopRequested("enough"))
    with pytest.raises(IllegalTransition, match="the run has ended"):
        board.handle(RetryRequested((1,)))


def test_a_store_keeps_that_a_task_began_anew(
    crew: Callable[..., Any], task: Callable[..., Task]
) -> None:
    board = crew(Ada=8)
    kept = SharedRows()

    def keep(said: list[Any]) -> None:
        kept.keep(changed_rows(board.board, said))

    keep([each for each in board.said if isinstance(each, Occurrence)])
    keep(board.add(task(1, max_attempts=2)))
    keep(board.fail(1))
    keep(board.fail(1))
    board.now = 5.0
    keep(board.handle(RetryRequested((1,))))
    keep(board.fail(1))
    restored = read_board(kept.read(), board.board.rules, now=6.0).tasks[1]
    record = board.record(1)
    for name in ("status", "retried_at", "former_attempts", "failures", "failed_by", "story"):
        assert getattr(restored, name) == getattr(record, name), name
    assert restored.retried_at == 5.0
