"""Reads a list of tasks from a file, and tells everything that is wrong with it at once."""

from __future__ import annotations

import stat
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ...messages import EncodeError, InvalidInput, Task, TaskAssignment, TaskId, encode_message
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
"""The largest file that is read."""

_TASKS_OF_A_CYCLE_SHOWN = 8


class _Placed(NamedTuple):
    place: str
    task: Task


def read_tasks(path: str | Path) -> list[Task]:
    """Read tasks from a file.

    Args:
        path: a file of UTF-8 text, 1 GiB at most, of one of these endings:
            `.jsonl`: a JSON object with the fields of a task on each line.
            `.json`: a list of such objects, or `{"tasks": [...]}`.
            `.csv`: a header with the names of fields, then a line for each task. An empty cell
            leaves the field at its default; `data` is JSON text; ids in `depends_on` are separated
            by spaces or semicolons; ids that are written as integers are integers.
            In each the field `class` may name a subclass of `Task` that has been imported.

    Returns:
        The tasks, in the order of the file; there is at least one.

    Raises:
        InvalidInput: it can't be read, or something is wrong in it: up to 10 problems are told,
            each with its line, field, value and rule.
    """
    path = Path(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InvalidInput(
            f"the tasks file {str(path)!r} ends in {path.suffix!r}; "
            f"it must end in one of {', '.join(READERS)}"
        )
    problems = Problems()
    try:
        _check_file(path)
        with path.open("rb") as file:
            tasks = _load_all(reader(file, problems), problems)
    except (OSError, ValueError) as fault:
        reason = (fault.strerror if isinstance(fault, OSError) else None) or str(fault)
        raise InvalidInput(f"the tasks file {str(path)!r} can't be read: {reason}") from None
    if problems.told:
        raise InvalidInput(_describe(path, problems))
    if not tasks:
        raise InvalidInput(f"the tasks file {str(path)!r} holds no tasks")
    return tasks


def _check_file(path: Path) -> None:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise InvalidInput(f"the tasks file {str(path)!r} is not an ordinary file")
    if status.st_size > MAX_FILE_BYTES:
        raise InvalidInput(
            f"the tasks file {str(path)!r} has {status.st_size:,} bytes, "
            f"the limit is {MAX_FILE_BYTES:,}; divide it"
        )


def _describe(path: Path, problems: Problems) -> str:
    if len(problems.told) == 1:
        return f"{path}: {problems.told[0]}"
    count = f"the first {MAX_PROBLEMS}" if problems.is_full else str(len(problems.told))
    return "\n  ".join([f"{path}: {count} problems:", *problems.told])


# ------------------------------------------------------------------------ each task by itself


def _load_all(rows: Iterable[TaskFileRow], problems: Problems) -> list[Task]:
    placed: dict[TaskId, _Placed] = {}
    # Of a task that is wrong in itself at least the id is known, so that others may name it.
    faulty: set[TaskId] = set()
    for row in rows:
        task_id = row.fields.get("id")
        task = _load(row, problems)
        if task is None:
            if type(task_id) in (int, str):
                faulty.add(cast("TaskId", task_id))
        elif task.id in placed:
            first = placed[task.id].place
            problems.add(row.place, f"id: {show(task.id)}: the task of {first} has this id too")
        else:
            placed[task.id] = _Placed(row.place, task)
        if problems.is_full:
            break
    if not problems.is_cut_short and not problems.is_full:
        _check_relations(placed, faulty, problems)
    return [each.task for each in placed.values()]


def _load(row: TaskFileRow, problems: Problems) -> Task | None:
    fields = dict(row.fields)
    task_class = _find_class(fields.pop(CLASS_FIELD, Task.__name__), row.place, problems)
    if task_class is None:
        return None
    try:
        task = task_class.model_validate(fields)
        # The manager would refuse it too, but knows of no lines.
        encode_message(TaskAssignment(task=task))
    except ValidationError as fault:
        known = [*_field_names(task_class), CLASS_FIELD]
        for problem in fault.errors(include_url=False, include_context=False):
            problems.add(row.place, _describe_fault(problem, known))
    except EncodeError as fault:
        problems.add(row.place, str(fault))
    except Exception as fault:  # noqa: BLE001 - a user's class may have validators of any kind
        problems.add(row.place, f"{task_class.__name__}: {type(fault).__name__}: {fault}")
    else:
        return task
    return None


def _find_class(name: object, place: str, problems: Problems) -> type[Task] | None:
    task_class = find_task_class(name) if isinstance(name, str) else None
    if task_class is None:
        problems.add(
            place,
            f"{CLASS_FIELD}: {show(name)}: must name a class of tasks that has been imported, "
            "such as 'PriorityTask'",
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
        return f"{name}: missing, though every task needs it"
    return f"{name}: {show(fault['input'])}: {fault['msg']}"


# ------------------------------------------------------------------------ tasks among themselves


def _check_relations(
    placed: Mapping[TaskId, _Placed], faulty: Container[TaskId], problems: Problems
) -> None:
    for place, task in placed.values():
        named = [("depends_on", each) for each in task.depends_on]
        if task.parent_id is not None:
            named.append(("parent_id", task.parent_id))
        for field, task_id in named:
            if task_id not in placed and task_id not in faulty:
                problems.add(place, f"{field}: {show(task_id)}: {_unknown_id(task_id, placed)}")
    for cycle in _find_cycles(placed):
        if problems.is_full:
            break
        told = [f"{show(task_id)} ({placed[task_id].place})" for task_id in cycle]
        if len(told) > _TASKS_OF_A_CYCLE_SHOWN:
            left_out = len(told) - _TASKS_OF_A_CYCLE_SHOWN
            told[_TASKS_OF_A_CYCLE_SHOWN:] = [f"{left_out:,} more"]
        told.append(show(cycle[0]))
        problems.add("", f"depends_on: a circle in which nothing can begin: {' -> '.join(told)}")


def _unknown_id(task_id: TaskId, known: Container[object]) -> str:
    twin = str(task_id) if isinstance(task_id, int) else _integer_in(task_id)
    told = "no task of this file has this id"
    return f"{told}; did you mean {twin!r}?" if twin in known else told


def _integer_in(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _find_cycles(placed: Mapping[TaskId, _Placed]) -> Iterator[list[TaskId]]:
    """Circles that share no task; each task in them waits for the next."""
    waits_for = {
        task_id: [each for each in task.depends_on if each in placed]
        for task_id, (_, task) in placed.items()
    }
    while True:
        try:
            TopologicalSorter(waits_for).prepare()
        except CycleError as fault:
            # It names the first task at both ends, and each before the one that waits for it.
            cycle = cast("list[TaskId]", fault.args[1])[:0:-1]
            yield cycle
            for task_id in cycle:
                waits_for[task_id] = []
        else:
            return
