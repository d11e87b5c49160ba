"""Settled tasks are forgotten when whoever keeps the run needs them no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.kernel.board.restoration import read_board
from muster.agents.kernel.board.rows import changed_rows
from muster.agents.kernel.model.config import Rules
from muster.agents.kernel.model.events import ListeningStarted, TasksForgotten
from muster.agents.kernel.model.occurrences import OccurrenceKind
from muster.messages import IllegalTransition, Task, TaskStatus, UnknownTask

MakeTask = Callable[..., Task]


@pytest.fixture
def running(crew: Callable[..., Any]) -> Any:
    """One worker, which is free."""
    return crew(Ada=5)


def test_of_a_forgotten_task_nothing_is_left(
    running: Any, task: MakeTask, whats: Callable[..., list[OccurrenceKind]]
) -> None:
    running.add(task(1), task(2))
    running.succeed(1)
    said = running.handle(TasksForgotten((1,)))
    assert whats(said) == [OccurrenceKind.TASK_FORGOTTEN]
    assert list(running.board.tasks) == [2]
    assert running.board.results == ()
    assert running.board.counts[TaskStatus.COMPLETED] == 0
    with pytest.raises(UnknownTask, match="no task has the id 1"):
        running.board.story(1)


def test_tasks_that_are_added_later_still_come_later(running: Any, task: MakeTask) -> None:
    running.add(task(1), task(2), task(3), task(4))
    running.succeed(1)
    running.handle(TasksForgotten((1,)))
    running.add(task(5))
    for number in (2, 3, 4):
        running.succeed(number)
    assert [task_id for task_id, _ in running.handed_out()] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("task_id", [1, 2], ids=["in progress", "waiting"])
def test_a_task_that_is_not_settled_stays(running: Any, task: MakeTask, task_id: int) -> None:
    running.add(task(1), task(2))
    with pytest.raises(IllegalTransition, match="wait until it is settled"):
        running.handle(TasksForgotten((task_id,)))
    assert list(running.board.tasks) == [1, 2]


def test_a_task_that_others_depend_on_goes_with_them_or_not_at_all(
    running: Any, task: MakeTask
) -> None:
    running.add(task(1), task(2, depends_on=(1,)), task(3, parent_id=1))
    for number in (1, 2, 3):
        running.succeed(number)
    with pytest.raises(IllegalTransition, match="2 other tasks depend on it or are its children"):
        running.handle(TasksForgotten((1,)))
    with pytest.raises(IllegalTransition, match="1 other tasks"):
        running.handle(TasksForgotten((1, 2)))
    assert list(running.board.tasks) == [1, 2, 3]
    running.handle(TasksForgotten((3,)))
    running.handle(TasksForgotten((1, 2)))
    assert not running.board.tasks


def test_a_cancelled_task_stays_until_its_worker_has_stopped(running: Any, task: MakeTask) -> None:
    running.add(task(1), task(2))
    running.cancel(1)
    with pytest.raises(IllegalTransition, match="Ada has not confirmed"):
        running.handle(TasksForgotten((1,)))
    running.fail(1)
    assert running.places() == {2: "Ada"}
    running.handle(TasksForgotten((1,)))
    assert list(running.board.tasks) == [2]


def test_a_forgotten_task_of_a_restored_run_may_be_added_anew(running: Any, task: MakeTask) -> None:
    running.add(task(1))
    running.succeed(1)
    rows = changed_rows(running.board, running.said)
    running.board = read_board(rows, Rules(ends_when_done=False), now=1.0)
    running.now = 1.0
    running.handle(ListeningStarted())
    running.handle(TasksForgotten((1,)))
    running.add(task(1, 7))
    assert running.status(1) is TaskStatus.PENDING
    assert running.record(1).task.difficulty == 7


def test_an_unknown_task_is_told_and_nothing_is_forgotten(running: Any, task: MakeTask) -> None:
    running.add(task(1))
    running.succeed(1)
    with pytest.raises(UnknownTask, match="'ghost'"):
        running.handle(TasksForgotten((1, "ghost")))
    assert list(running.board.tasks) == [1]


def test_what_arrives_of_a_forgotten_task_is_counted(running: Any, task: MakeTask) -> None:
    running.add(task(1))
    running.succeed(1)
    running.handle(TasksForgotten((1,)))
    running.succeed(1, worker="Ada", attempt=1)
    assert running.board.ignored == {"unknown task": 1}
