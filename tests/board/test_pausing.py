"""A run that is paused assigns nothing; what runs goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from muster.agents.kernel.board.restoration import read_board
from muster.agents.kernel.board.rows import Rows, changed_rows
from muster.agents.kernel.board.stuck_tasks import find_stuck_tasks
from muster.agents.kernel.model.config import Rules
from muster.agents.kernel.model.events import (
    ClosingBegun,
    ListeningStarted,
    PauseEnded,
    PauseRequested,
)
from muster.agents.kernel.model.instructions import SendRecall
from muster.messages import TaskStatus

Make = Callable[..., Any]


def test_a_paused_run_assigns_nothing_until_it_is_resumed(watched: Make, task: Make) -> None:
    board = watched(ends_when_done=False)
    board.join("Ada")
    board.begin()
    board.add(task(1))
    board.handle(PauseRequested())
    board.add(task(2))
    board.succeed(1)
    assert [each.task.id for each in board.given] == [1]
    assert "paused" in board.board.explain(2).headline
    board.handle(PauseEnded())
    assert [each.task.id for each in board.given] == [1, 2]
    board.succeed(2)
    assert board.board.tasks[2].status is TaskStatus.COMPLETED


def test_what_has_not_begun_is_recalled(watched: Make, task: Make, only: Make) -> None:
    board = watched(ends_when_done=False, prefetch_s=5.0)
    board.join("Ada")
    board.begin()
    board.add(task(1, type="short"), task(2, type="short"), task(3, type="short"))
    board.succeed(1, execution_time=0.01)
    said = board.handle(PauseRequested())
    assert [each.attempts for each in only(SendRecall, said)] == [((3, 1),)]


def test_a_task_that_nobody_can_do_does_not_fail_in_a_pause_nor_right_after_it(
    watched: Make, task: Make
) -> None:
    board = watched(ends_when_done=False, unmatched_after_s=30.0)
    board.join("Ada", skill=1)
    board.begin()
    board.add(task(1, difficulty=9))
    board.handle(PauseRequested())
    assert find_stuck_tasks(board.board) == ()
    board.wait_until(100.0, hearing=["Ada"])
    assert board.board.tasks[1].status is TaskStatus.PENDING
    board.handle(PauseEnded())
    board.wait_until(129.0, hearing=["Ada"])
    assert board.board.tasks[1].status is TaskStatus.PENDING
    board.wait_until(131.0, hearing=["Ada"])
    assert board.board.tasks[1].status is TaskStatus.FAILED


def test_a_restart_stays_paused(watched: Make, task: Make) -> None:
    board = watched(ends_when_done=False)
    board.join("Ada")
    board.begin()
    board.now = 4.0
    board.handle(PauseRequested())
    kept = changed_rows(board.board, board.said)
    restored = read_board(kept, Rules(), now=5.0)
    assert restored.is_paused
    assert restored.pause.since == 4.0


def test_a_run_without_a_pause_is_stored_as_before(watched: Make) -> None:
    board = watched(ends_when_done=False)
    board.join("Ada")
    board.begin()
    before = changed_rows(board.board, board.said)
    board.handle(PauseRequested())
    board.handle(PauseEnded())
    assert changed_rows(board.board, board.said).run == before.run


def test_a_run_that_is_about_to_be_stopped_assigns_nothing_and_goes_on_after_a_restart(
    watched: Make, task: Make
) -> None:
    board = watched(ends_when_done=False)
    board.join("Ada")
    board.begin()
    board.handle(ClosingBegun())
    board.handle(PauseEnded())
    board.add(task(1))
    assert board.given == []
    restored = read_board(changed_rows(board.board, board.said), Rules(), now=5.0)
    restored.handle(ListeningStarted(), 6.0)
    assert not restored.pause.holds
    assert isinstance(changed_rows(restored, ()), Rows)
