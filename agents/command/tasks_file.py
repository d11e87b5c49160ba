"""Reads tasks from a file, and reports all of its problems at once."""

from __future__ import annotations

import json
import stat
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple, cast
from uuid import UUID, uuid5

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ...messages import (
    EncodeError,
    InvalidInput,
    Payload,
    Task,
    TaskAssignment,
    TaskId,
    encode_message,
)
from ...messages.task import find_task_class
from ...messages.wording import show
from .tasks_file_formats import (
    CLASS_FIELD,
    MAX_PROBLEMS,
    READERS,
    Problems,
    TaskFileRow,
    unknown_field,
)

MAX_FILE_BYTES = 1024**3
"""The maximum size of a tasks file."""

_MAX_CYCLE_TASKS_SHOWN = 8
_NAMESPACE = UUID("7e3c5d0a-6a5f-5b0e-9d57-2f5d4c1b8a60")


class _LocatedTask(NamedTuple):
    place: str
    task: Task


def read_tasks(path: str | Path) -> list[Task]:
    """Read tasks from a file.

    Args:
        path: a UTF-8 file of at most 1 GiB, with one of these extensions:
            `.jsonl`: a JSON object with the fields of a task on each line.
            `.json`: a list of such objects, or `{"tasks": [...]}`.
            `.csv`: a header with field names, then a line for each task, separated by commas,
            semicolons or tabs. An empty cell leaves the field at its default; `data` is JSON, or
            else text; ids in `depends_on` are separated by semicolons, commas or blanks; ids
            written as integers are integers; `required_skills` has names with levels, such as
            `vision=7; text=4`; names in `escalate` are separated by semicolons; `retry` is a number
            of attempts, or has fields, such as `max_attempts=5; wait_s=2; on=OSError|*Timeout`; all
            three may be JSON too.
            In each format, the field `class` may name an imported subclass of `Task`. A task
            without an `id` gets one from its content, so that the same file gives the same ids.

    Returns:
        The tasks in the order of the file, at least one.

    Raises:
        InvalidInput: the file can't be read or is invalid. The message lists up to 10 problems,
            each with its line, field, value and rule.
    """
    path = Path(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InvalidInput(
            f"the tasks file {str(path)!r} has the extension {path.suffix!r}; "
            f"it must be one of {', '.join(READERS)}"
        )
    problems = Problems()
    try:
        _check_file(path)
        with path.open("rb") as file:
            tasks = _load_all(reader(file, problems), problems)
    except (OSError, ValueError) as fault:
        reason = (fault.strerror if isinstance(fault, OSError) else None) or str(fault)
        raise InvalidInput(f"the tasks file {str(path)!r} can't be read: {reason}") from None
    if problems.messages:
        raise _invalid(path, problems)
    if not tasks:
        raise InvalidInput(f"the tasks file {str(path)!r} contains no tasks")
    return tasks


def _check_file(path: Path) -> None:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise InvalidInput(f"the tasks file {str(path)!r} is not a regular file")
    if status.st_size > MAX_FILE_BYTES:
        raise InvalidInput(
            f"the tasks file {str(path)!r} has {status.st_size:,} bytes, "
            f"the limit is {MAX_FILE_BYTES:,}; split it into several files"
        )


def _invalid(path: Path, problems: Problems) -> InvalidInput:
    if len(problems.messages) == 1:
        return InvalidInput(f"{path}: {problems.messages[0]}")
    count = f"the first {MAX_PROBLEMS}" if problems.is_full else str(len(problems.messages))
    return InvalidInput(f"{path}: {count} problems:", *problems.messages)


# ------------------------------------------------------------------------ individual tasks


def _load_all(rows: Iterable[TaskFileRow], problems: Problems) -> list[Task]:
    located: dict[TaskId, _LocatedTask] = {}
    # The ids of invalid tasks, to which other tasks may refer.
    faulty: set[TaskId] = set()
    contents: Counter[str] = Counter()
    for row in rows:
        if "id" not in row.fields and "task_id" not in row.fields:
            row.fields["id"] = _id_of_content(row.fields, contents)
        task_id = row.fields.get("id")
        task = _load(row, problems)
        if task is None:
            if type(task_id) in (int, str):
                faulty.add(cast("TaskId", task_id))
        elif task.id in located:
            first = located[task.id].place
            problems.add(row.place, f"id: {show(task.id)}: the task of {first} has this id too")
        else:
            located[task.id] = _LocatedTask(row.place, task)
        if problems.is_full:
            break
    if not problems.is_cut_short and not problems.is_full:
        _check_relations(located, faulty, problems)
    return [each.task for each in located.values()]


def _id_of_content(fields: Mapping[str, Payload], contents: Counter[str]) -> TaskId:
    """An id for a task without one.

    It comes from the task's content, so that a manager which is started again with the same file
    and a store knows the task.
    """
    content = json.dumps(fields, sort_keys=True)
    contents[content] += 1
    return str(uuid5(_NAMESPACE, f"{contents[content]} {content}"))


def _load(row: TaskFileRow, problems: Problems) -> Task | None:
    fields = dict(row.fields)
    task_class = _find_class(fields.pop(CLASS_FIELD, Task.__name__), row.place, problems)
    if task_class is None:
        return None
    try:
        task = task_class.model_validate(fields)
        # The manager checks this too, but its message could not contain the line.
        encode_message(TaskAssignment(task=task))
    except ValidationError as fault:
        known = [*_field_names(task_class), CLASS_FIELD]
        for problem in fault.errors(include_url=False, include_context=False):
            problems.add(row.place, _describe_fault(problem, known))
    except EncodeError as fault:
        problems.add(row.place, str(fault))
    except Exception as fault:  # noqa: BLE001 - validators of a user's class may raise anything
        problems.add(row.place, f"{task_class.__name__}: {type(fault).__name__}: {fault}")
    else:
        return task
    return None


def _find_class(name: object, place: str, problems: Problems) -> type[Task] | None:
    task_class = find_task_class(name) if isinstance(name, str) else None
    if task_class is None:
        problems.add(
            place,
            f"{CLASS_FIELD}: {show(name)}: must name an imported task class, such as "
            "'PriorityTask'",
        )
    return task_class


def _field_names(task_class: type[Task]) -> Iterator[str]:
    return (field.alias or name for name, field in task_class.model_fields.items())


def _describe_fault(fault: ErrorDetails, known: Sequence[str]) -> str:
    first, *rest = fault["loc"] or ("task",)
    name = "".join([str(first), *(f"[{step!r}]" for step in rest)])
    if fault["type"] == "extra_forbidden":
        return unknown_field(first, known)
    if fault["type"] == "missing":
        return f"{name}: missing; every task needs it"
    return f"{name}: {show(fault['input'])}: {fault['msg']}"


# ------------------------------------------------------------------------ relations of tasks


def _check_relations(
    located: Mapping[TaskId, _LocatedTask], faulty: Container[TaskId], problems: Problems
) -> None:
    for place, task in located.values():
        named = [("depends_on", each) for each in task.depends_on]
        if task.parent_id is not None:
            named.append(("parent_id", task.parent_id))
        for field, task_id in named:
            if task_id not in located and task_id not in faulty:
                problems.add(place, f"{field}: {show(task_id)}: {_unknown_id(task_id, located)}")
    for cycle in _find_cycles(located):
        if problems.is_full:
            break
        steps = [f"{show(task_id)} ({located[task_id].place})" for task_id in cycle]
        if len(steps) > _MAX_CYCLE_TASKS_SHOWN:
            left_out = len(steps) - _MAX_CYCLE_TASKS_SHOWN
            steps[_MAX_CYCLE_TASKS_SHOWN:] = [f"{left_out:,} more"]
        steps.append(show(cycle[0]))
        problems.add("", f"depends_on: the tasks form a cycle: {' -> '.join(steps)}")


def _unknown_id(task_id: TaskId, known: Container[object]) -> str:
    similar = str(task_id) if isinstance(task_id, int) else _integer_in(task_id)
    message = "no task of this file has this id"
    return f"{message}; did you mean {similar!r}?" if similar in known else message


def _integer_in(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _find_cycles(located: Mapping[TaskId, _LocatedTask]) -> Iterator[list[TaskId]]:
    """Cycles that share no task; each task in a cycle depends on the next."""
    waits_for = {
        task_id: [each for each in task.depends_on if each in located]
        for task_id, (_, task) in located.items()
    }
    while True:
        try:
            TopologicalSorter(waits_for).prepare()
        except CycleError as fault:
            # The list starts and ends with the same task, and each task precedes its dependent.
            cycle = cast("list[TaskId]", fault.args[1])[:0:-1]
            yield cycle
            for task_id in cycle:
                waits_for[task_id] = []
        else:
            return
