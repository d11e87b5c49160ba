"""A service keeps results for a time, and so many: then it forgets them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.kernel.board.restoration import read_board
from muster.agents.kernel.board.retention import MOST_AHEAD
from muster.agents.kernel.board.rows import changed_rows
from muster.agents.kernel.board.task_registry import MAX_FORGOTTEN_IDS
from muster.agents.kernel.model.config import Rules
from muster.agents.kernel.model.events import ListeningStarted, RetryRequested
from muster.messages import InvalidInput, ResultForgotten, TaskStatus, UnknownTask

Make = Callable[..., Any]

MINUTE_S = 60.0
DAY_S = 86_400.0


def service(watched: Make, **rules: Any) -> Any:
    board = watched(ends_when_done=False, **rules)
    board.join("Ada")
    board.begin()
    return board


def test_a_result_is_kept_for_its_time_and_then_forgotten(watched: Make, task: Make) -> None:
    board = service(watched, keep_results_s=24 * MINUTE_S)
    board.add(task(1))
    board.succeed(1)
    board.now = 23 * MINUTE_S
    board.add(task(2))
    board.succeed(2)
    assert set(board.board.tasks) == {1, 2}
    board.wait_until(24 * MINUTE_S + 1.0, hearing=["Ada"])
    assert set(board.board.tasks) == {2}
    assert board.board.forgotten[TaskStatus.COMPLETED] == 1
    board.wait_until(48 * MINUTE_S, hearing=["Ada"])
    assert set(board.board.tasks) == set()


def test_who_asks_for_a_forgotten_result_is_told_how_long_it_was_kept(
    watched: Make, task: Make
) -> None:
    board = service(watched, keep_results_s=24 * MINUTE_S)
    board.add(task(1))
    board.succeed(1)
    board.wait_until(26 * MINUTE_S, hearing=["Ada"])
    with pytest.raises(
        ResultForgotten,
        match=r"id 1 any more: it was forgotten 2 min ago; its result was kept for 24 min",
    ):
        board.board.find(1)
    with pytest.raises(UnknownTask, match="no task has the id 2"):
        board.board.find(2)


def test_so_many_results_are_kept(watched: Make, task: Make) -> None:
    board = service(watched, keep_results=3)
    for number in range(1, 20):
        board.add(task(number))
        board.succeed(number)
        assert len(board.board.tasks) <= 4
    assert set(board.board.tasks) == {17, 18, 19}
    assert len(board.board.results) == 3
    with pytest.raises(ResultForgotten, match="the latest 3 results are kept"):
        board.board.find(1)


def test_a_task_stays_as_long_as_others_need_it(watched: Make, task: Make) -> None:
    board = service(watched, keep_results_s=10.0)
    board.add(task(1), task(2, depends_on=[1]), task(3, parent_id=1), task(4, difficulty=9))
    board.add(task(5, depends_on=[4]), task(6, depends_on=[1, 4]))
    board.succeed(1)
    board.succeed(2)
    board.succeed(3)
    board.wait_until(20.0, hearing=["Ada"])
    # Task 6 still depends on it, since 4 was not done.
    assert 1 in board.board.tasks
    assert 2 not in board.board.tasks
    board.cancel(6)
    board.wait_until(40.0, hearing=["Ada"])
    assert 1 not in board.board.tasks


def test_the_child_of_a_parent_that_is_not_settled_stays(watched: Make, task: Make) -> None:
    board = service(watched, keep_results_s=10.0)
    board.join("Bob")
    board.add(task("parent", type="any"))
    board.add(task("child", type="any", parent_id="parent"))
    board.succeed("child")
    board.wait_until(100.0, hearing=["Ada", "Bob"])
    assert set(board.board.tasks) == {"parent", "child"}
    board.succeed("parent")
    board.wait_until(109.0, hearing=["Ada", "Bob"])
    assert set(board.board.tasks) == {"parent", "child"}
    board.wait_until(111.0, hearing=["Ada", "Bob"])
    assert set(board.board.tasks) == set()


def test_a_task_that_is_tried_again_begins_its_time_anew(watched: Make, task: Make) -> None:
    board = service(watched, keep_results_s=10.0)
    board.add(task(1, type="any"))
    board.fail(1)
    board.now = 8.0
    board.handle(RetryRequested((1,)))
    board.wait_until(12.0, hearing=["Ada"])
    assert board.board.tasks[1].status is TaskStatus.IN_PROGRESS
    board.succeed(1)
    board.wait_until(21.0, hearing=["Ada"])
    assert 1 in board.board.tasks
    board.wait_until(23.0, hearing=["Ada"])
    assert 1 not in board.board.tasks


def test_a_run_that_ends_with_its_tasks_keeps_all(watched: Make, task: Make) -> None:
    board = watched()
    board.join("Ada")
    board.begin()
    assert board.board.task_registry.settled is None


def test_a_restored_run_goes_on_counting_and_forgetting(watched: Make, task: Make) -> None:
    board = service(watched, keep_results=2)
    for number in range(1, 6):
        board.add(task(number))
        board.succeed(number)
    kept = changed_rows(board.board, board.said)
    rules = Rules(ends_when_done=False, keep_results_s=10.0)
    restored = read_board(kept, rules, now=5.0)
    assert restored.forgotten[TaskStatus.COMPLETED] == board.board.forgotten[TaskStatus.COMPLETED]
    restored.handle(ListeningStarted(), 11.0)
    assert set(restored.tasks) == set()
    assert restored.forgotten[TaskStatus.COMPLETED] == 5


def test_costs_of_forgotten_tasks_stay_in_the_sums_also_over_a_restart(
    watched: Make, task: Make
) -> None:
    board = watched(ends_when_done=False, keep_results=1)
    board.join("Ada", cost_per_task=2.0)
    board.begin()
    for number in range(1, 5):
        board.now = number * DAY_S
        board.heard("Ada")
        board.add(task(number, type=("sum", "sort")[number % 2]))
        board.succeed(number)
    assert len(board.board.tasks) < 4
    restored = read_board(changed_rows(board.board, board.said), now=board.now)
    for each in (board.board, restored):
        assert each.budget.spent == 8.0
        assert each.spending.sums.by_type == {"sum": 4.0, "sort": 4.0}
        assert each.spending.sums.by_day == {1: 2.0, 2: 2.0, 3: 2.0, 4: 2.0}


def test_the_memory_of_forgotten_ids_is_bounded(task: Make, watched: Make) -> None:
    board = service(watched, keep_results=1)
    registry, made = board.board.task_registry, task(1)
    for number in range(1, MAX_FORGOTTEN_IDS + 100):
        record = type("Record", (), {})()
        record.task_id, record.status, record.task = number, TaskStatus.COMPLETED, made
        registry.by_id[number] = record
        registry.counts[TaskStatus.COMPLETED] += 1
        registry.forget(record, "")
    assert len(registry._forgotten_ids) == MAX_FORGOTTEN_IDS
    assert MOST_AHEAD < MAX_FORGOTTEN_IDS


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ({"keep_results": 0}, "keep_results is 0; it must be 1 or more, or None to keep all"),
        ({"keep_results": -5}, "keep_results is -5; it must be 1 or more"),
        ({"keep_results_s": 0}, "keep_results_s is 0; it must be above 0, or None to keep"),
        ({"keep_results_s": float("nan")}, "keep_results_s is nan; it must be above 0"),
        ({"keep_results_s": "1 h"}, "keep_results_s is '1 h'; it must be a number"),
    ],
)
def test_bad_input_is_refused_with_what_would_be_right(rules: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        Rules(**rules)


def test_it_ends_at_times_that_are_rounded(watched: Make, task: Make) -> None:
    for number in range(1, 40):
        settled_at, keep_s = number / 7.0, number / 3.0
        board = service(watched, keep_results_s=keep_s)
        board.now = settled_at
        board.add(task(number))
        board.succeed(number)
        board.wait_until(settled_at + keep_s, hearing=["Ada"])
        assert set(board.board.tasks) == set()
