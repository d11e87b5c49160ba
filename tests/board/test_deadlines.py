"""The deadline of a task: what happens if it can't be met any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.kernel.board.restoration import read_board
from muster.agents.kernel.board.rows import changed_rows
from muster.agents.kernel.model.config import Rules
from muster.agents.kernel.model.events import ListeningStarted, TasksAdded
from muster.agents.store.memory import SharedRows
from muster.messages import TaskStatus

Make = Callable[..., Any]
UNKNOWN = "late: it is not completed 10 s after it was added"
KNOWN = "late: it can't be completed 10 s after it was added any more; such tasks take 4 s at least"


@pytest.fixture
def late(watched: Make) -> Make:
    """Makes a board with one worker that fails late tasks."""

    def make(policy: str = "in_order", **rules: Any) -> Any:
        board = watched(
            policy,
            **{"ends_when_done": False, "on_late": "fail", "unmatched_after_s": None, **rules},
        )
        board.join("Ada")
        board.begin()
        return board

    return make


def wait_for_a_slot(board: Any, task: Make) -> None:
    board.add(task(2, type="dig"), task(1, type="dig", deadline=10.0))


def wait_for_a_task(board: Any, task: Make) -> None:
    board.add(task(2, type="dig"), task(1, type="dig", depends_on=(2,), deadline=10.0))


def wait_for_somebody_able(board: Any, task: Make) -> None:
    board.add(task(1, type="dig", deadline=10.0, escalate=("nobody",)))


WAITS = [wait_for_a_slot, wait_for_a_task, wait_for_somebody_able]


@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize("time_scale", [1.0, 0.5])
def test_a_waiting_task_fails_at_its_deadline(
    late: Make, task: Make, wait: Callable[..., None], time_scale: float
) -> None:
    board = late(time_scale=time_scale)
    wait(board, task)
    board.wait_until(10 * time_scale - 0.1, hearing=["Ada"])
    assert board.status(1) is TaskStatus.PENDING
    assert "its deadline is in 0.1 s" in board.board.explain(1).remarks
    board.wait_until(10 * time_scale, hearing=["Ada"])
    assert board.record(1).error_message == UNKNOWN


def test_it_fails_as_soon_as_the_shortest_duration_does_not_fit(late: Make, task: Make) -> None:
    board = late()
    board.add(task(3, type="dig"))
    board.succeed(3, execution_time=4.0)
    board.add(task(2, type="dig"), task(1, type="dig", deadline=10.0))
    board.wait_until(5.9, hearing=["Ada"])
    assert board.status(1) is TaskStatus.PENDING
    board.wait_until(6.0, hearing=["Ada"])
    assert board.record(1).error_message == KNOWN


def test_a_first_success_sets_the_timers_of_those_that_wait(late: Make, task: Make) -> None:
    board = late("best_fit")
    board.add(task(2, type="dig", priority=2), task(3, type="dig", priority=1))
    board.add(task(1, type="dig", deadline=10.0))
    board.now = 5.0
    board.succeed(2, execution_time=4.0)
    assert board.places() == {3: "Ada"}
    board.wait_until(6.0, hearing=["Ada"])
    assert board.record(1).error_message == KNOWN


def test_a_begun_attempt_finishes_and_its_retry_fails(late: Make, task: Make) -> None:
    board = late()
    board.add(task(1, type="dig", deadline=10.0, max_attempts=2))
    board.wait_until(12.0, hearing=["Ada"])
    assert board.status(1) is TaskStatus.IN_PROGRESS
    board.fail(1)
    board.wait_until(12.0, hearing=["Ada"])
    assert board.record(1).error_message == UNKNOWN


def test_a_late_task_runs_unless_told_otherwise_and_the_explanation_says_so(
    late: Make, task: Make
) -> None:
    board = late(on_late="run")
    wait_for_a_slot(board, task)
    board.wait_until(13.0, hearing=["Ada"])
    assert "it is late: its deadline was 3.0 s ago" in board.board.explain(1).remarks
    board.succeed(2)
    board.now = 15.0
    board.succeed(1)
    assert board.board.explain(1).remarks == (
        "it was late: it was settled 5.0 s after its deadline",
    )


def test_a_deadline_survives_a_restart(late: Make, task: Make) -> None:
    board, kept = late(), SharedRows()
    wait_for_a_slot(board, task)
    kept.keep(changed_rows(board.board, board.said))
    rules = Rules(on_late="fail", ends_when_done=False, unmatched_after_s=None)
    restored = read_board(kept.read(), rules, board.board.queue.policy, now=board.now)
    restored.handle(TasksAdded((task(5, type="dig"),)), 0.0)
    restored.handle(ListeningStarted(), 0.0)
    assert any(timer.due_at() == 10.0 for timer in restored.timers.watched())
