"""The one table of transitions, and that nothing happens which is not in it."""

from __future__ import annotations

import ast
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import muster.agents.kernel
import pytest
from muster.agents.kernel.board.board import Board
from muster.agents.kernel.board.transitions import TRANSITIONS, Cause
from muster.agents.kernel.matching.policies import BestFit
from muster.agents.kernel.model.events import TasksAdded
from muster.messages import IllegalTransition, Task, TaskStatus

STATUSES = list(dict.fromkeys(TaskStatus))
KERNEL = Path(muster.agents.kernel.__file__).parent


@pytest.mark.parametrize(("status", "cause"), list(product(STATUSES, Cause)))
def test_a_cause_does_what_the_table_says_or_is_refused_with_the_story(
    status: TaskStatus, cause: Cause
) -> None:
    board = Board()
    board.handle(TasksAdded((Task(id=7, description="seven"),)), 1.0)
    record = board.tasks[7]
    record.status = status
    if (status, cause) in TRANSITIONS:
        board.task_registry.transition(record, cause)
        assert record.status is TRANSITIONS[status, cause]
    else:
        told = rf"task 7 is {status.value}, so it can't be {cause.value}; its story: .*task_added"
        with pytest.raises(IllegalTransition, match=told):
            board.task_registry.transition(record, cause)
        assert record.status is status


def test_a_settled_task_changes_only_if_it_is_tried_again() -> None:
    of_settled = {(before, cause) for before, cause in TRANSITIONS if before.is_final}
    assert of_settled == {
        (TaskStatus.FAILED, Cause.TRIED_AGAIN),
        (TaskStatus.CANCELLED, Cause.TRIED_AGAIN),
    }


def test_every_cause_has_its_use() -> None:
    assert {cause for _, cause in TRANSITIONS} == set(Cause)


def test_every_status_can_be_reached() -> None:
    assert {TaskStatus.PENDING, *TRANSITIONS.values()} == set(STATUSES)


def test_only_the_transition_function_changes_a_status() -> None:
    changing = [
        (path.stem, function.name)
        for path in KERNEL.rglob("*.py")
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Attribute) and target.attr == "status"
    ]
    assert changing == [("task_registry", "transition")]


def test_the_same_events_give_the_same_instructions(
    watched: Callable[..., Any], task: Callable[..., Task]
) -> None:
    def run() -> list[object]:
        board = watched(BestFit(), lost_after_s=5)
        board.add(*(task(number, 1 + number % 9, max_attempts=3) for number in range(1, 40)))
        for number in range(8):
            board.join(f"worker{number}", 3 + number, slots=2)
        board.begin()
        for round_number in range(30):
            board.wait_until(board.now + 1, hearing=[f"worker{n}" for n in range(1, 8)])
            for place, task_id in enumerate(list(board.places())):
                if (place + round_number) % 4 == 0:
                    board.fail(task_id)
                elif (place + round_number) % 3 == 0:
                    board.succeed(task_id)
        return board.said

    first = [str(each) for each in run()]
    assert first == [str(each) for each in run()]
    assert len(first) > 200
