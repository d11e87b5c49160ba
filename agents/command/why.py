"""`muster why`: explains the status of a task, from a running manager, a report or a store."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from ...messages import InvalidInput, TaskId, UnknownTask
from ...messages.wording import find_known_id
from ..report.model import RunReport
from ..runtime.strict_json import JsonFault, decode_json, describe_json_fault
from ..store.places import StorePlace, name_of_place
from .stored_run import read_stored_run

_TASK_ID: TypeAdapter[TaskId] = TypeAdapter(TaskId)


def possible_task_ids(text: str) -> list[TaskId]:
    """The task ids that a command line argument may mean: first an integer, then text.

    Raises:
        InvalidInput: it is not a valid task id.
    """
    candidates: list[TaskId] = []
    if re.fullmatch(r"[0-9]+", text):
        candidates.append(int(text[:_MAX_DIGITS]))
    candidates.append(text)
    possible = [candidate for candidate in candidates if _is_task_id(candidate)]
    if not possible:
        raise InvalidInput(
            f"{text[:_MAX_SHOWN_CHARACTERS]!r} is not a valid task id; it must be an integer "
            "above 0, or text of 1 to 200 characters that is not blank"
        )
    return possible


def ask_report(task_ids: Sequence[TaskId], path: Path) -> Sequence[str]:
    """Look up a task in a report that `muster manager --report` wrote.

    Raises:
        UnknownTask: the report has no such task.
        InvalidInput: the file can't be read, or is not a report.
    """
    try:
        content = path.read_bytes()
        decode_json(content)
        report = RunReport.model_validate_json(content)
    except JsonFault as fault:
        raise InvalidInput(
            f"{str(path)!r} is not a JSON report: {describe_json_fault(fault)}"
        ) from None
    except OSError as fault:
        raise InvalidInput(f"the report {str(path)!r} can't be read: {fault.strerror}") from None
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(
            f"{str(path)!r} is not a JSON report: {where + ': ' if where else ''}{first['msg']}"
        ) from None
    by_id = {task.id: task for task in report.tasks}
    task_id = find_known_id(task_ids, by_id)
    if task_id is not None:
        task = by_id[task_id]
        return [*task.why, *_indent(task.error_traceback)]
    raise UnknownTask(f"the report {str(path)!r} has no task {task_ids[0]!r}")


def ask_store(task_ids: Sequence[TaskId], place: StorePlace) -> Sequence[str]:
    """Look up a task in a store.

    Raises:
        UnknownTask: the run has no such task.
        StoreUnusable: there is no store, or it can't be read.
    """
    board = read_stored_run(place).board
    task_id = find_known_id(task_ids, board.tasks)
    if task_id is not None:
        return board.explain(task_id).lines(with_traceback=True)
    raise UnknownTask(f"the run in {name_of_place(place)!r} has no task {task_ids[0]!r}")


def _indent(traceback: str | None) -> list[str]:
    return [f"  {line}" for line in (traceback or "").splitlines()]


def _is_task_id(candidate: TaskId) -> bool:
    try:
        _TASK_ID.validate_python(candidate)
    except ValidationError:
        return False
    return True


_MAX_DIGITS = 1_000
"""Python does not parse integers of more than 4,300 digits; an id has at most 19."""

_MAX_SHOWN_CHARACTERS = 100
