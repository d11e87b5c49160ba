"""Chains, groups, chords and map_reduce are tasks that depend on one another, and no more."""

from __future__ import annotations

from typing import Any

import pytest
from muster.agents import (
    TaskContext,
    TaskManager,
    WorkerAgent,
    chain,
    chord,
    group,
    map_reduce,
    rehearse,
    run_in_virtual_time,
)
from muster.messages import InvalidInput, InvalidTask, Task, TaskStatus


def play(tasks: list[Task]) -> dict[Any, Any]:
    worker = WorkerAgent("Ada", 5)

    @worker.task("add one")
    async def add_one(task: Task) -> int:
        return int(task.data) + 1

    @worker.task("sum")
    async def total(task: Task, context: TaskContext) -> int:
        assert list(context.inputs.values()) == task.data
        return sum(task.data)

    @worker.task("own data")
    async def own_data(task: Task, context: TaskContext) -> Any:
        return [task.data, *context.inputs.values()]

    @worker.task("fail")
    async def fail(task: Task) -> None:
        raise ValueError("no")

    @worker.task("clean up")
    async def clean_up(task: Task, context: TaskContext) -> Any:
        return dict(context.upstream_errors)

    manager = TaskManager(tasks, 1, quiet=True)
    run_in_virtual_time(rehearse(manager, [worker]))
    return {
        task_id: record.result.output if record.status is TaskStatus.COMPLETED else record.status
        for task_id, record in manager.board.tasks.items()
        if record.result is not None or record.status.is_final
    }


def one(number: int, data: Any = None, **fields: Any) -> Task:
    return Task(id=number, type="add one", data=data, **fields)


def test_in_a_chain_each_takes_the_output_of_the_one_before() -> None:
    assert play(chain(one(1, 5), one(2), one(3))) == {1: 6, 2: 7, 3: 8}


def test_a_task_with_data_keeps_them_and_finds_the_outputs_in_its_inputs() -> None:
    tasks = chain(one(1, 5), Task(id=2, type="own data", data="mine"))
    assert play(tasks) == {1: 6, 2: ["mine", 6]}


def test_a_group_is_a_step_of_a_chain() -> None:
    tasks = chain(one(1, 5), group(one(2), one(3)), Task(id=4, type="sum"), one(5))
    assert play(tasks) == {1: 6, 2: 7, 3: 7, 4: 14, 5: 15}


def test_a_chord_and_a_map_with_its_reduction_take_all_outputs() -> None:
    assert play(chord([one(1, 5), one(2, 6)], Task(id=3, type="sum")))[3] == 13
    tasks = map_reduce("add one", range(5), "sum", priority=3)
    assert {task.priority for task in tasks} == {3}
    assert play(tasks)[tasks[-1].id] == 15


def test_a_task_cleans_up_after_another_one_that_failed() -> None:
    tasks = [
        Task(id=1, type="fail"),
        Task(id=2, type="clean up", depends_on=(1,), run_if="failed"),
        Task(id=3, type="clean up", depends_on=(2,), run_if="failed"),
    ]
    assert play(tasks) == {
        1: TaskStatus.FAILED,
        2: {1: "ValueError: no"},
        3: TaskStatus.CANCELLED,
    }


def test_a_task_that_was_not_needed_is_no_failure_of_the_run() -> None:
    worker = WorkerAgent("Ada", 5)

    @worker.task("add one")
    async def add_one(task: Task) -> int:
        return int(task.data) + 1

    tasks = [one(1, 5), one(2, 1, depends_on=(1,), run_if="failed")]
    manager = TaskManager(tasks, 1, quiet=True)
    run_in_virtual_time(rehearse(manager, [worker]))
    assert manager.board.find(2).status is TaskStatus.CANCELLED
    assert manager.report().exit_code == 0


@pytest.mark.parametrize(
    ("make", "error", "told"),
    [
        (chain, InvalidInput, "a chain needs a task"),
        (group, InvalidInput, "a group needs a task"),
        (lambda: chain(one(1), []), InvalidInput, "a group needs a task"),
        (lambda: chain("text"), InvalidTask, "'text' is not a task"),
        (lambda: group(7), InvalidTask, "7 is not a task"),
        (lambda: chord(one(1), one(2)), InvalidInput, "is a single task; give a list of tasks"),
        (lambda: chord([], one(2)), InvalidInput, "a group needs a task"),
        (lambda: map_reduce("a", "text", "b"), InvalidInput, "items is 'text'; it must be a list"),
    ],
)
def test_bad_input_is_refused_with_what_would_be_right(make: Any, error: Any, told: str) -> None:
    with pytest.raises(error, match=told):
        make()
