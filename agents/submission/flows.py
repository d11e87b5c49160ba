"""Makes tasks that depend on one another: chains, groups, chords, and a map with its reduction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from ...messages import InvalidInput, Payload, Task, TaskId
from ...messages.task import check_is_task
from ...messages.wording import show

Step: TypeAlias = Task | Sequence[Task]
"""A task, or tasks that run side by side."""


def group(*tasks: Task) -> list[Task]:
    """Tasks that run side by side, as one step of a chain.

    Args:
        tasks: the tasks; one or more.

    Raises:
        InvalidInput: there is none.
        InvalidTask: something else is among them.
    """
    if not tasks:
        raise InvalidInput("a group needs a task")
    for task in tasks:
        check_is_task(task)
    return list(tasks)


def chain(*steps: Step) -> list[Task]:
    """Tasks that run one after the other; each takes the output of the one before as its data.

    A step of several tasks, as `group` makes it, runs side by side. What follows it waits for all
    of them, and takes the list of their outputs. A task that has data of its own keeps them, and
    finds the outputs in `context.inputs`.

        tasks = chain(Task(type="read", data="a.txt"), Task(type="count"), Task(type="show"))
        results = await client.gather(tasks)

    Args:
        steps: the steps; one or more. The tasks are copied, with their ids.

    Returns:
        All tasks in the order of the steps; those of the last step are the last.

    Raises:
        InvalidInput: there is no step, or one has no tasks.
        InvalidTask: something else than a task is among them.
    """
    if not steps:
        raise InvalidInput("a chain needs a task")
    made: list[Task] = []
    before: list[Task] = []
    for step in steps:
        tasks = [step] if isinstance(step, Task) else group(*_listed(step))
        before = [_after(task, before) for task in tasks]
        made += before
    return made


def chord(tasks: Iterable[Task], then: Task) -> list[Task]:
    """Tasks that run side by side, and one that takes the list of their outputs as its data.

    Args:
        tasks: the tasks; one or more.
        then: the task that follows them.

    Returns:
        All tasks; the one that follows is the last.

    Raises:
        InvalidInput: there is no task before the last.
        InvalidTask: something else than a task is among them.
    """
    return chain(group(*_listed(tasks)), then)


def map_reduce(
    map_type: str, items: Iterable[Payload], reduce_type: str, **fields: Any
) -> list[Task]:
    """A task for each item, and one that takes the list of their outputs as its data.

    Where there are more than some thousands, or the items are not known before, let a handler call
    `context.map` instead.

    Args:
        map_type: the type of the tasks for the items.
        items: the data of each; one or more.
        reduce_type: the type of the last task.
        fields: further fields of all tasks, such as `priority`.

    Returns:
        All tasks; the one that reduces is the last.

    Raises:
        InvalidInput: there are no items.
    """
    if isinstance(items, str | bytes):
        raise InvalidInput(f"items is {show(items)}; it must be a list, with data for each task")
    tasks = [Task(type=map_type, data=item, **fields) for item in items]
    return chord(tasks, Task(type=reduce_type, **fields))


def _listed(tasks: object) -> list[Task]:
    if isinstance(tasks, Task):
        raise InvalidInput(f"{show(tasks)} is a single task; give a list of tasks")
    if isinstance(tasks, str) or not isinstance(tasks, Iterable):
        check_is_task(tasks)
        return []
    return list(tasks)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _after(task: Task, before: Sequence[Task]) -> Task:
    """A task that waits for others besides those that it depends on already."""
    check_is_task(task)
    needed: tuple[TaskId, ...] = tuple(each.id for each in before)
    if not needed:
        return task
    takes_output = task.takes_output or (task.data is None and not task.depends_on)
    return task.model_copy(
        update={"depends_on": (*task.depends_on, *needed), "takes_output": takes_output}
    )
