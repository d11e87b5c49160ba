"""New tasks: what is taken, and what is refused as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.kernel.model.events import PriorityChanged
from muster.agents.kernel.model.occurrences import OccurrenceKind
from muster.messages import (
    DependencyCycle,
    DuplicateTask,
    InvalidTask,
    Task,
    TaskStatus,
    UnknownDependency,
)

Make = Callable[..., Any]


def test_tasks_are_kept_in_the_order_of_their_adding(watched: Make, task: Make) -> None:
    board = watched()
    board.add(task(3), task(1))
    board.add(task(2))
    assert list(board.board.tasks) == [3, 1, 2]


def test_a_new_task_is_pending_and_counted(watched: Make, task: Make) -> None:
    board = watched()
    board.add(task(1), task(2))
    assert board.board.counts[TaskStatus.PENDING] == 2
    assert board.happened(1) == [OccurrenceKind.TASK_ADDED]


def test_a_task_that_is_known_is_not_added_again(watched: Make, task: Make) -> None:
    board = watched()
    board.add(task(1))
    board.add(task(2), task(1))
    board.add(task("a"), task("a"))
    assert list(board.board.tasks) == [1, 2, "a"]
    assert board.board.counts[TaskStatus.PENDING] == 3
    assert board.happened(1) == [OccurrenceKind.TASK_ADDED]


def test_a_known_task_may_be_given_again_with_new_ones_that_depend_on_it(
    watched: Make, task: Make
) -> None:
    board = watched()
    board.add(task(1))
    board.add(task(1), task(2, depends_on=(1,)))
    assert board.record(2).unfinished == 1


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"difficulty": 5}, "difficulty is 1 there and 5 now"),
        ({"type": "sort", "data": [1]}, "type is '' there and 'sort' now; data is None there and"),
        ({"priority": 2}, "priority is 0 there and 2 now"),
        ({"description": "other"}, "description is 'task 1' there and 'other' now"),
        ({"depends_on": (2,)}, "depends_on is () there and (2,) now"),
    ],
)
@pytest.mark.parametrize("together", [False, True])
def test_another_task_under_a_known_id_is_refused_with_the_fields_that_differ(
    watched: Make, task: Make, fields: dict[str, Any], told: str, together: bool
) -> None:
    board = watched()
    other = task(1).model_copy(update=fields)
    given = (task(2), task(1), other) if together else (task(2), other)
    if not together:
        board.add(task(1))
    with pytest.raises(DuplicateTask, match="a different task with the id 1 already") as caught:
        board.add(*given)
    assert told in str(caught.value)
    assert list(board.board.tasks) == ([] if together else [1])


def test_a_changed_priority_is_no_difference(watched: Make, task: Make) -> None:
    board = watched()
    board.add(task(1))
    board.handle(PriorityChanged(1, 7))
    board.add(task(1))
    assert board.record(1).task.priority == 7


def test_values_that_cannot_be_compared_are_told_apart_by_their_bytes(
    watched: Make, task: Make
) -> None:
    board = watched()
    board.add(task(1, data=[float("nan")]))
    board.add(task(1, data=[float("nan")]))
    with pytest.raises(DuplicateTask, match=r"data is \[nan\] there and \[1.5\] now"):
        board.add(task(1, data=[1.5]))


def test_one_and_the_text_one_are_different_ids(watched: Make, task: Make) -> None:
    board = watched()
    board.add(task(1), task("1"))
    assert list(board.board.tasks) == [1, "1"]


@pytest.mark.parametrize("task_id", [True, 1.0, None])
def test_an_id_that_is_neither_integer_nor_text_never_gets_in(
    watched: Make, task_id: object
) -> None:
    smuggled = Task.model_construct(id=task_id, description="smuggled")
    with pytest.raises(InvalidTask, match="must be an integer or a string"):
        watched().add(smuggled)


def test_a_dependency_that_nobody_added_is_refused(watched: Make, task: Make) -> None:
    with pytest.raises(UnknownDependency, match="task 2 depends on 9, which was not added"):
        watched().add(task(1), task(2, depends_on=(1, 9)))


def test_a_parent_that_nobody_added_is_refused(watched: Make, task: Make) -> None:
    with pytest.raises(UnknownDependency, match="task 2 has the parent 9"):
        watched().add(task(2, parent_id=9))


def test_a_task_may_depend_on_one_that_is_added_after_it(watched: Make, task: Make) -> None:
    board = watched()
    board.add(task(1, depends_on=(2,)), task(2))
    assert board.record(1).unfinished == 1


@pytest.mark.parametrize(
    ("links", "circle"),
    [
        ({1: (1,)}, "1 → 1"),
        ({1: (2,), 2: (1,)}, "1 → 2 → 1"),
        ({1: (2,), 2: (3,), 3: (4,), 4: (2,), 5: ()}, "2 → 3 → 4 → 2"),
    ],
)
def test_a_circle_is_refused_and_shown(
    watched: Make, task: Make, links: dict[int, tuple[int, ...]], circle: str
) -> None:
    tasks = [task(task_id, depends_on=needed) for task_id, needed in links.items()]
    with pytest.raises(DependencyCycle, match=f": {circle};"):
        watched().add(*tasks)


@pytest.mark.parametrize(
    ("parents", "circle"),
    [
        ({1: 1}, "1 → 1"),
        ({1: 2, 2: 1}, "1 → 2 → 1"),
        ({5: 4, 1: 2, 2: 3, 3: 4, 4: 2}, "4 → 2 → 3 → 4"),
    ],
)
def test_a_circle_of_parents_is_refused_and_shown(
    watched: Make, task: Make, parents: dict[int, int], circle: str
) -> None:
    tasks = [task(task_id, parent_id=parent) for task_id, parent in parents.items()]
    with pytest.raises(DependencyCycle, match=f": {circle};"):
        watched().add(*tasks)


def test_children_may_be_added_before_their_parents(watched: Make, task: Make) -> None:
    board = watched()
    board.add(*(task(number, parent_id=number + 1) for number in range(1, 1_000)), task(1_000))
    assert len(board.board.tasks) == 1_000


def test_a_long_circle_is_shown_in_part(watched: Make, task: Make) -> None:
    tasks = [task(number, depends_on=(number % 1000 + 1,)) for number in range(1, 1001)]
    with pytest.raises(DependencyCycle, match=r"1 → 2 → .* → … 991 more … → 1000 → 1;"):
        watched().add(*tasks)


def test_of_refused_tasks_none_is_taken(watched: Make, task: Make) -> None:
    board = watched()
    with pytest.raises(UnknownDependency):
        board.add(task(1), task(2, depends_on=(9,)))
    assert not board.board.tasks
    assert sum(board.board.counts.values()) == 0


def test_after_the_end_tasks_are_refused(watched: Make, task: Make) -> None:
    board = watched()
    board.join("Ada")
    board.begin()
    with pytest.raises(InvalidTask, match="the run has ended"):
        board.add(task(1))


def test_a_board_that_goes_on_takes_tasks_after_all_were_done(watched: Make, task: Make) -> None:
    board = watched(ends_when_done=False)
    board.join("Ada")
    board.begin()
    board.add(task(1))
    board.succeed(1)
    board.add(task(2))
    assert board.places() == {2: "Ada"}
