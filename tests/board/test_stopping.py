"""When the user ends the run, settled or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from muster.agents.kernel.model.events import StopRequested
from muster.agents.kernel.model.instructions import EndRun
from muster.agents.kernel.model.occurrence_text import describe_facts
from muster.agents.kernel.model.occurrences import OccurrenceKind
from muster.messages import TaskStatus

Make = Callable[..., Any]


def test_after_a_stop_nothing_more_is_assigned(watched: Make, task: Make) -> None:
    board = watched()
    board.join("Ada")
    board.add(task(1), task(2))
    board.begin()
    board.handle(StopRequested())
    board.succeed(1)
    assert board.board.tasks[1].status is TaskStatus.COMPLETED
    assert board.board.tasks[2].status is TaskStatus.PENDING
    assert [each.task.id for each in board.given] == [1]


def test_a_stop_is_noted_with_its_reason_and_time(watched: Make, task: Make, only: Make) -> None:
    board = watched()
    board.add(task(1))
    board.now = 7.0
    said = board.handle(StopRequested("by the user"))
    (ended,) = [each for each in said if getattr(each, "what", None) is OccurrenceKind.RUN_ENDED]
    assert (ended.at, describe_facts(ended)) == (7.0, "by the user")
    assert board.board.ended_at == 7.0
    assert board.board.failure is None
    assert only(EndRun, said) == []


def test_a_stop_after_the_end_changes_nothing(watched: Make, task: Make) -> None:
    board = watched()
    board.join("Ada")
    board.add(task(1))
    board.begin()
    board.succeed(1)
    board.now = 9.0
    assert board.handle(StopRequested()) == []
    assert board.board.ended_at == 0.0
