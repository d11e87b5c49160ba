"""A failed task that somebody wants to be tried once more: another takes its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.kernel.model.events import RecoveryRequested
from muster.agents.kernel.model.occurrences import Occurrence
from muster.messages import IllegalTransition, InvalidTask, TaskStatus, UnknownTask

Make = Callable[..., Any]


def recover(board: Any, task_id: Any) -> Any:
    said = board.handle(RecoveryRequested(task_id))
    return next(each.task_id for each in said if isinstance(each, Occurrence))


def test_it_goes_to_the_most_skilled_of_those_that_have_not_failed_it(
    crew: Make, task: Make
) -> None:
    board = crew(Ada=5, Ben=9, Cleo=7)
    board.add(task(1, 5))
    board.fail(1)
    assert recover(board, 1) == "1-recovery-1"
    assert board.places() == {"1-recovery-1": "Ben"}
    assert board.status(1) is TaskStatus.FAILED
    assert board.record("1-recovery-1").task.parent_id == 1


def test_it_is_what_the_failed_one_was(crew: Make, task: Make) -> None:
    board = crew(Ada=9)
    board.add(task(1, 4, type="sing", data={"verse": 2}, timeout=7, priority=3))
    board.fail(1)
    again = board.record(recover(board, 1)).task
    kept = {"id", "parent_id"}
    assert again.model_dump(exclude=kept) == board.record(1).task.model_dump(exclude=kept)


def test_each_recovery_has_a_name_of_its_own(crew: Make, task: Make) -> None:
    board = crew(Ada=9)
    board.add(task("a"))
    board.fail("a")
    names = [recover(board, "a"), recover(board, "a")]
    assert names == ["a-recovery-1", "a-recovery-2"]


def test_only_what_has_failed_can_be_recovered(crew: Make, task: Make) -> None:
    board = crew(Ada=9)
    board.add(task(1))
    with pytest.raises(IllegalTransition, match="task 1 is in_progress; only a failed task"):
        recover(board, 1)
    with pytest.raises(UnknownTask):
        recover(board, 2)


def test_an_id_that_is_taken_is_passed_over(crew: Make, task: Make) -> None:
    board = crew(Ada=9)
    board.add(task(1), task("1-recovery-1"))
    board.fail(1)
    assert recover(board, 1) == "1-recovery-2"


def test_an_id_that_is_too_long_is_refused(crew: Make, task: Make) -> None:
    board = crew(Ada=9)
    board.add(task("x" * 200))
    board.fail("x" * 200)
    with pytest.raises(InvalidTask, match="can't be recovered as"):
        recover(board, "x" * 200)
