"""The list of tasks is looked through part by part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.live import task_list
from muster.agents.live.task_list import TaskFilter, find_tasks
from muster.messages import TaskStatus

Make = Callable[..., Any]


def walk(board: Any, wanted: TaskFilter, limit: int) -> tuple[list[Any], int]:
    """All that is found, and in how many parts."""
    found, parts, after = [], 0, None
    while True:
        part = find_tasks(board.tasks, wanted, after, limit)
        found += [record.task_id for record in part.records]
        parts += 1
        if part.after is None:
            return found, parts
        after = part.after


def test_every_task_is_found_once_whatever_the_size_of_the_parts(desk: Make) -> None:
    here = desk()
    here.add(*range(1, 101))
    for limit in (1, 7, 100, 1000):
        assert walk(here.board, TaskFilter(), limit)[0] == list(range(1, 101))


def test_forgotten_tasks_leave_no_gap_and_no_double(desk: Make) -> None:
    here = desk()
    here.add(*range(1, 101))
    gone = [*range(1, 11), *range(40, 61), 99]
    for number in gone:
        here.cancel(number)
    here.forget(*gone)
    kept = [number for number in range(1, 101) if number not in gone]
    for limit in (1, 7, 30):
        assert walk(here.board, TaskFilter(), limit)[0] == kept


def test_a_filter_finds_by_status_worker_and_text(desk: Make) -> None:
    here = desk()
    here.add("Leaf-1", "Leaf-2", "chest")
    here.join("Ada")
    here.begin()
    ada = [record.task_id for record in here.board.tasks.values() if record.worker == "Ada"]
    assert walk(here.board, TaskFilter(status=TaskStatus.IN_PROGRESS), 5)[0] == ada
    assert walk(here.board, TaskFilter(worker="Ada"), 5)[0] == ada
    assert walk(here.board, TaskFilter(text="LEAF"), 5)[0] == ["Leaf-1", "Leaf-2"]
    assert walk(here.board, TaskFilter(text="nothing"), 5)[0] == []


def test_one_look_goes_through_a_bounded_number_of_tasks(
    desk: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_list, "MAX_CHECKED", 10)
    here = desk()
    here.add(*range(1, 26))
    part = find_tasks(here.board.tasks, TaskFilter(text="task 25"), None, 5)
    assert part == ([], 9)
    assert walk(here.board, TaskFilter(text="task 25"), 5) == ([25], 3)
