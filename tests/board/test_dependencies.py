"""Tasks that wait for others, get their outputs, and fall with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.kernel.board.board import Board
from muster.agents.kernel.board.invariants import check_invariants
from muster.agents.kernel.model.events import CancelRequested, TasksAdded
from muster.agents.kernel.model.occurrences import Occurrence, OccurrenceKind
from muster.messages import TaskStatus

Make = Callable[..., Any]


def test_a_task_waits_until_all_it_depends_on_is_completed(crew: Make, task: Make) -> None:
    board = crew(Ada=5, Ben=5, Cleo=5)
    board.add(task(1), task(2), task(3, depends_on=(1, 2)))
    board.succeed(1)
    assert board.places() == {2: "Ben"}
    board.succeed(2)
    assert board.places() == {3: "Ada"}


def test_a_task_gets_the_outputs_of_what_it_depends_on(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.add(task(1), task("b"), task(3, depends_on=("b", 1)))
    board.succeed(1, output={"words": 7})
    board.succeed("b", output=None)
    assert board.given[-1].inputs == {"b": None, 1: {"words": 7}}


def test_a_dependency_named_twice_counts_once(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.add(task(1), task(2, depends_on=(1, 1)))
    board.succeed(1)
    assert board.places() == {2: "Ada"}


def test_all_that_depends_on_a_failed_task_is_cancelled_for_its_sake(
    crew: Make, task: Make
) -> None:
    board = crew(Ada=5)
    board.add(task(3), task(4, depends_on=(3,)), task(5, depends_on=(4,)), task(6))
    board.fail(3)
    for task_id in (4, 5):
        assert board.status(task_id) is TaskStatus.CANCELLED
        assert board.record(task_id).error_message == "dependency: task 3 failed"
    assert board.places() == {6: "Ada"}


def test_all_that_depends_on_a_cancelled_task_is_cancelled(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.add(task(3), task(4, depends_on=(3,)))
    board.cancel(3)
    assert board.record(4).error_message == "dependency: task 3 cancelled"


def test_a_task_that_depends_on_a_failed_one_is_cancelled_when_added(
    crew: Make, task: Make
) -> None:
    board = crew(Ada=5)
    board.add(task(1))
    board.fail(1)
    board.add(task(3, depends_on=(2,)), task(2, depends_on=(1,)))
    assert board.status(2) is TaskStatus.CANCELLED
    assert board.record(3).error_message == "dependency: task 1 failed"


def test_of_a_batch_that_can_not_start_each_task_is_cancelled_once(
    crew: Make, task: Make, only: Make
) -> None:
    board = crew(Ada=5)
    board.add(task("x"))
    board.fail("x")
    said = board.add(task("a", depends_on=("x",)), task("b", depends_on=("a", "x")))
    told = [(each.task_id, each.what) for each in only(Occurrence, said)]
    assert told == [
        ("a", OccurrenceKind.TASK_ADDED),
        ("b", OccurrenceKind.TASK_ADDED),
        ("a", OccurrenceKind.TASK_CANCELLED),
        ("b", OccurrenceKind.TASK_CANCELLED),
    ]
    for task_id in ("a", "b"):
        assert board.record(task_id).error_message == "dependency: task x failed"


def test_what_is_cancelled_for_another_names_the_first_that_went_wrong_when_added_later(
    crew: Make, task: Make
) -> None:
    board = crew(Ada=5)
    board.add(task(1), task(2, depends_on=(1,)))
    board.fail(1)
    board.add(task(3, depends_on=(2,)))
    assert board.record(3).error_message == "dependency: task 1 failed"


def test_a_retried_task_does_not_take_its_dependents_down(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.add(task(1, max_attempts=2), task(2, depends_on=(1,)))
    board.fail(1)
    assert board.status(2) is TaskStatus.PENDING
    board.succeed(1)
    assert board.places() == {2: "Ada"}


@pytest.mark.slow
def test_a_chain_of_a_hundred_thousand_falls_in_one_go(task: Make) -> None:
    board = Board()
    length = 100_000
    tasks = tuple(task(n, depends_on=(n - 1,) if n > 1 else ()) for n in range(1, length + 1))
    board.handle(TasksAdded(tasks), 0.0)
    board.handle(CancelRequested(1), 1.0)
    assert board.counts[TaskStatus.CANCELLED] == length
    assert board.tasks[length].error_message == "dependency: task 1 cancelled"
    check_invariants(board)


def test_a_parent_is_a_relation_only(crew: Make, task: Make) -> None:
    board = crew(Ada=5, Ben=5)
    board.add(task(1), task(2, parent_id=1))
    assert board.places() == {1: "Ada", 2: "Ben"}
