"""A task may run if those that it depends on failed, or however they ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.kernel.board.restoration import read_board
from muster.agents.kernel.board.rows import changed_rows
from muster.agents.kernel.model.events import ListeningStarted, RetryRequested
from muster.agents.store.memory import SharedRows
from muster.messages import TaskStatus

Make = Callable[..., Any]

NOT_NEEDED = "not needed: all that it depends on was completed"


@pytest.fixture
def board(watched: Make, task: Make) -> Any:
    """Two tasks at a worker, on which others depend."""
    board = watched(ends_when_done=False, prefetch_s=0.0)
    board.join("Ada", 9, slots=5)
    board.add(task("a", type="any"), task("b", type="any"))
    board.begin()
    return board


@pytest.mark.parametrize(
    ("run_if", "ends", "expected"),
    [
        ("completed", "cc", "in_progress"),
        ("completed", "cf", "cancelled"),
        ("settled", "cc", "in_progress"),
        ("settled", "cf", "in_progress"),
        ("settled", "xf", "in_progress"),
        ("failed", "cc", "cancelled"),
        ("failed", "cf", "in_progress"),
        ("failed", "xc", "in_progress"),
    ],
)
@pytest.mark.parametrize("is_added_later", [False, True])
def test_what_becomes_of_a_task(
    board: Any, task: Make, run_if: Any, ends: str, expected: str, is_added_later: bool
) -> None:
    then = task("then", type="any", depends_on=("a", "b"), run_if=run_if)
    after = task("after", type="any", depends_on=("then",))
    if not is_added_later:
        board.add(then, after)
    for task_id, end in zip("ab", ends, strict=True):
        assert is_added_later or "then" not in board.places()
        {"c": board.succeed, "f": board.fail, "x": board.cancel}[end](task_id)
    if is_added_later:
        board.add(then, after)
    assert board.status("then").value == expected
    if expected == "cancelled":
        assert board.status("after") is TaskStatus.CANCELLED
        told = NOT_NEEDED if run_if == "failed" else "dependency: task b failed"
        assert board.record("then").error_message == told
        return
    given = next(each for each in board.given if each.task.id == "then")
    completed = {each for each, end in zip("ab", ends, strict=True) if end == "c"}
    assert set(given.inputs) == completed
    assert set(given.upstream_errors) == {"a", "b"} - completed
    board.succeed("then")
    assert board.places() == {"after": "Ada"}


def test_the_errors_are_told(board: Any, task: Make) -> None:
    board.add(task("then", type="any", depends_on=("a",), run_if="failed"))
    board.fail("a", error_message="ValueError: no such column")
    given = next(each for each in board.given if each.task.id == "then")
    assert given.upstream_errors == {"a": "ValueError: no such column"}


def test_a_task_waits_again_for_one_that_begins_anew(board: Any, task: Make) -> None:
    board.add(task("then", type="any", depends_on=("a", "b"), run_if="settled"))
    board.fail("a")
    board.handle(RetryRequested(("a",)))
    board.succeed("b")
    assert board.status("then") is TaskStatus.PENDING
    assert "waits for task a" in board.board.explain("then").lines()[0]
    board.succeed("a")
    assert board.places() == {"then": "Ada"}


def test_a_task_that_was_ready_waits_again(watched: Make, task: Make) -> None:
    board = watched(ends_when_done=False, prefetch_s=0.0)
    board.join("Ada", 9)
    board.add(task("a", type="any"), task("c", type="any"))
    board.add(task("then", type="any", depends_on=("a",), run_if="settled"))
    board.begin()
    board.fail("a")
    assert board.places() == {"c": "Ada"}
    board.handle(RetryRequested(("a",)))
    board.succeed("c")
    assert board.places() == {"a": "Ada"}
    board.fail("a")
    assert board.places() == {"then": "Ada"}


def test_a_task_that_has_run_stays_as_it_is_when_its_upstream_begins_anew(
    board: Any, task: Make
) -> None:
    board.add(task("then", type="any", depends_on=("a",), run_if="failed"))
    board.fail("a")
    board.succeed("then")
    board.handle(RetryRequested(("a",)))
    board.succeed("a")
    assert board.status("then") is TaskStatus.COMPLETED


def test_a_restored_run_goes_on_alike(board: Any, task: Make) -> None:
    board.add(task("then", type="any", depends_on=("a", "b"), run_if="failed"))
    board.fail("a")
    kept = SharedRows()
    kept.keep(changed_rows(board.board, board.said))
    again = read_board(kept.read(), board.board.rules, now=5.0)
    again.handle(ListeningStarted(), 5.0)
    assert again.tasks["then"].unfinished == 1
    board.board = again
    board.now = 5.0
    board.join("Ada", 9, slots=5, call=2, worker_id="at Ada", holding=frozenset({("b", 1)}))
    board.succeed("b")
    assert board.places() == {"then": "Ada"}
