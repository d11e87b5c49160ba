"""Makes the tasks of a due time, with ids that follow from the schedule and the due time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta, timezone, tzinfo
from inspect import isawaitable
from typing import TypeAlias, cast

from pydantic import ValidationError

from ...messages import InvalidInput, Payload, Task, TaskId
from ...messages.codec import pack_task, summarize
from ...messages.wording import show
from ..kernel.model.schedules import scheduled_id

MAX_TASKS_AT_ONCE = 1_000
"""How many tasks a schedule may make for one due time."""

MadeTasks: TypeAlias = Task | Sequence[Task]
"""What a function that makes tasks returns."""

TaskMaker: TypeAlias = Callable[[datetime], MadeTasks | Awaitable[MadeTasks]]
"""A function that makes the tasks of a due time, which is given in the schedule's time zone."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def make_maker(name: str, make: Task | str | TaskMaker, data: Payload) -> TaskMaker:
    """The function that makes the tasks of a schedule.

    Args:
        name: the schedule's name.
        make: a task, the type of a task, or the function.
        data: the data of a task of which only the type is given.

    Raises:
        InvalidInput: `make` is something else, or the data do not belong to a type.
        EncodeError: the task's data have no plain form.
    """
    if isinstance(make, str):
        try:
            task = Task(type=make, data=data)
        except ValidationError as fault:
            raise InvalidInput(
                f"the task of schedule {name!r} can't be made: {summarize(fault)}"
            ) from None
        if not make.strip():
            raise InvalidInput(f"make of schedule {name!r} is {make!r}; it must be a task type")
        pack_task(task)
        return lambda _: task
    if data is not None:
        raise InvalidInput(
            f"schedule {name!r} has data, but make is no task type; give the data to the task"
        )
    if isinstance(make, Task):
        pack_task(make)
        return lambda _: make
    if not callable(make):
        raise InvalidInput(
            f"make of schedule {name!r} is {show(make)}; it must be a Task, the type of a task, or "
            "a function that takes the due time and returns one or more tasks"
        )
    return make


async def make_tasks(make: TaskMaker, name: str, due: float, zone: tzinfo) -> tuple[Task, ...]:
    """Make the tasks of a due time. Their ids, and how they name one another, are renamed.

    Args:
        make: the function that makes them.
        name: the schedule's name.
        due: the due time, in seconds since 1970.
        zone: the time zone of the schedule.

    Raises:
        InvalidInput: it returns no task, or too many.
        Exception: what it raises.
    """
    made = make((_EPOCH + timedelta(seconds=due)).astimezone(zone))
    if isawaitable(made):
        made = await made
    tasks = _check(made)
    names: dict[TaskId, TaskId] = {
        task.id: scheduled_id(name, due, number) for number, task in enumerate(tasks)
    }
    if len(names) < len(tasks):
        raise InvalidInput("make returned two tasks with the same id")
    return tuple(_rename(task, names) for task in tasks)


def _check(made: object) -> tuple[Task, ...]:
    if isinstance(made, Task):
        return (made,)
    is_several = isinstance(made, list | tuple)
    tasks: tuple[object, ...] = tuple(cast("Iterable[object]", made)) if is_several else (made,)
    wrong = next((each for each in tasks if not isinstance(each, Task)), None if tasks else ())
    if not tasks or not all(isinstance(each, Task) for each in tasks):
        place = "a list with " if is_several and tasks else ""
        raise InvalidInput(
            f"make returned {place}{show(wrong)}; it must return a Task, or a list of them"
        )
    if len(tasks) > MAX_TASKS_AT_ONCE:
        raise InvalidInput(
            f"make returned {len(tasks):,} tasks; for one due time there may be "
            f"{MAX_TASKS_AT_ONCE:,}"
        )
    return cast("tuple[Task, ...]", tasks)


def _rename(task: Task, names: dict[TaskId, TaskId]) -> Task:
    parent = task.parent_id
    return task.model_copy(
        update={
            "id": names[task.id],
            "depends_on": tuple(names.get(each, each) for each in task.depends_on),
            "parent_id": None if parent is None else names.get(parent, parent),
        }
    )
