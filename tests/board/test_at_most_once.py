"""What may have acted is not repeated after a loss, and a lost attempt says what it had told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.kernel.board.restoration import read_board
from muster.agents.kernel.board.rows import changed_rows
from muster.agents.kernel.model.events import ListeningStarted
from muster.agents.store.memory import SharedRows
from muster.messages import TaskStatus

Make = Callable[..., Any]
ACTED = "begun, but not known to be done: 'pay' may have acted, so it is not tried again"


def team(watched: Make, **rules: Any) -> Any:
    """Two workers, of which each has one type that may act, and one that may be repeated."""
    board = watched(ends_when_done=False, lost_after_s=10.0, **rules)
    for name in ("Ada", "Ben"):
        board.join(name, task_types=("pay", "look"), at_most_once_types=("pay",))
    board.begin()
    return board


def lose(board: Any) -> None:
    board.wait_until(15.0, hearing=[{"Ada": "Ben", "Ben": "Ada"}[board.record(1).worker]])


def leave(board: Any) -> None:
    board.leave(board.record(1).worker)


def time_out(board: Any) -> None:
    board.wait_until(6.0, hearing=["Ada", "Ben"])


@pytest.mark.parametrize("is_ended", [lose, leave, time_out])
@pytest.mark.parametrize(
    ("fields", "is_repeated"),
    [
        ({"type": "pay"}, False),
        ({"type": "pay", "max_losses": 2}, True),
        ({"type": "look"}, True),
    ],
)
def test_an_attempt_whose_end_nobody_knows_is_repeated_only_if_that_is_safe(
    watched: Make,
    task: Make,
    is_ended: Callable[[Any], None],
    fields: dict[str, Any],
    is_repeated: bool,
) -> None:
    board = team(watched)
    board.add(task(1, max_attempts=3, timeout=5.0 if is_ended is time_out else None, **fields))
    is_ended(board)
    record = board.record(1)
    assert record.attempt == (2 if is_repeated else 1)
    if not is_repeated:
        assert record.status is TaskStatus.FAILED
        assert ACTED in record.error_message


def test_what_was_not_begun_is_given_to_another_worker(watched: Make, task: Make) -> None:
    board = team(watched, prefetch_s=10.0)
    board.leave("Ben")
    for number in range(1, 10):
        board.add(task(number, type="pay"))
        board.succeed(number, execution_time=0.01)
    board.add(*(task(number, type="pay") for number in range(20, 30)))
    # None waits at the worker, where it might begin without the manager's knowledge.
    assert not board.board.workers["Ada"].prefetched
    board.join("Cleo", task_types=("pay",), at_most_once_types=("pay",))
    board.leave("Ada")
    assert board.status(20) is TaskStatus.FAILED
    assert {board.status(number) for number in range(21, 30)} <= {
        TaskStatus.PENDING,
        TaskStatus.IN_PROGRESS,
    }


@pytest.mark.parametrize("is_restored", [False, True])
def test_a_lost_attempt_says_what_it_had_told(watched: Make, task: Make, is_restored: bool) -> None:
    board = watched(ends_when_done=False, lost_after_s=10.0)
    for name in ("Ada", "Ben"):
        board.join(name)
    board.begin()
    board.add(task(1, type="ask"))
    worker = board.record(1).worker
    board.progress(1, 0.0, note="asked small, turn 1")
    told = "asked small, turn 1"
    if is_restored:
        store = SharedRows()
        store.keep(changed_rows(board.board, board.said))
        board.board = read_board(store.read(), board.board.rules, None, now=board.now)
        board.handle(ListeningStarted())
    other = {"Ada": "Ben", "Ben": "Ada"}[worker]
    if is_restored:
        board.join(other, session="1", call=2)
    board.wait_until(60.0, hearing=[other])
    lines = board.board.explain(1).lines()
    assert f"  attempt 1 was lost with {worker}; it had told: {told}" in lines
    assert board.record(1).attempt == 2
    story = [str(each) for each in board.record(1).story]
    assert any(told in each for each in story)
