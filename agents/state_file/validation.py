"""Checks the arguments of a `StateFileTaskManager`."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from pydantic import JsonValue

from ...messages import InvalidInput, InvalidTask, TaskStatus
from ...messages.task import MAX_ATTEMPTS, MAX_NAME_CHARACTERS
from ...messages.wording import show
from .json_values import explain_unwritable, to_timestamp
from .table import TaskEntry

ID_BYTES = 4
"""How many random bytes the id of a task has."""

OUTCOMES = (TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED)
"""The statuses with which a task can end."""

_MAX_TYPE_CHARACTERS = MAX_NAME_CHARACTERS - 1 - 2 * ID_BYTES
_SQLITE = "sqlite:"
_SQLITE_PREFIX = "sqlite:///"


def new_entry(
    task_type: str, data: Mapping[str, JsonValue] | None, parent_id: str | None
) -> TaskEntry:
    """The entry of a new task.

    Raises:
        InvalidTask: the type is blank or too long, or JSON can't carry the data.
    """
    if not isinstance(task_type, str) or not task_type.strip():  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidTask(f"task_type is {task_type!r}; it must be text that is not blank")
    if len(task_type) > _MAX_TYPE_CHARACTERS:
        raise InvalidTask(
            f"task_type has {len(task_type)} characters; the limit is {_MAX_TYPE_CHARACTERS}"
        )
    try:
        _check_unicode("task_type", task_type)
        checked = check_json("data", {} if data is None else data)
    except InvalidInput as fault:
        raise InvalidTask(str(fault)) from None
    return {
        "type": task_type,
        "status": TaskStatus.PENDING.value,
        "parent_id": parent_id,
        "locked_by": None,
        "locked_at": None,
        "created_at": None,
        "completed_at": None,
        "data": checked,
    }


def schedule_of(priority: int, not_before: datetime | None, max_attempts: int) -> TaskEntry:
    """The fields of an entry for priority, start time and retries.

    Raises:
        InvalidTask: a value is out of range.
    """
    if not _is_integer(priority) or not -(2**31) <= priority < 2**31:
        raise InvalidTask(f"priority is {priority!r}; it must be a 32-bit integer")
    if not _is_integer(max_attempts) or not 1 <= max_attempts <= MAX_ATTEMPTS:
        raise InvalidTask(
            f"max_attempts is {max_attempts!r}; it must be an integer from 1 to {MAX_ATTEMPTS}"
        )
    if not_before is not None and not isinstance(not_before, datetime):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidTask(f"not_before is {not_before!r}; it must be a datetime")
    return {
        "priority": priority,
        "not_before": None if not_before is None else to_timestamp(not_before.timestamp()),
        "max_attempts": max_attempts,
        "failures": 0,
    }


def check_json(name: str, value: Mapping[str, JsonValue]) -> TaskEntry:
    """Check that JSON can carry a dict, and copy it.

    Raises:
        InvalidInput: it is not a dict, or JSON can't carry it.
    """
    if not isinstance(value, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidInput(f"{name} is {type(value).__name__}; it must be a dict")
    checked = dict(value)
    reason = explain_unwritable(name, checked)
    if reason is not None:
        raise InvalidInput(f"{reason}; use None, bool, int, float, str, list and dict")
    return checked


def check_agent(agent_id: str) -> None:
    """Check the id of an agent.

    Raises:
        InvalidInput: it is blank or not text.
    """
    if not isinstance(agent_id, str) or not agent_id.strip():  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidInput(f"agent_id is {agent_id!r}; it must be text that is not blank")
    _check_unicode("agent_id", agent_id)


def check_types(task_types: Sequence[str] | None) -> list[str] | None:
    """Check a list of task types, and remove duplicates; None stands for all types.

    Raises:
        InvalidInput: it is not a list of texts, or is empty.
    """
    if task_types is None:
        return None
    if isinstance(task_types, str):
        raise InvalidInput(f"task_types is the text {task_types!r}; give a list of types")
    types = list(task_types)
    for each in types:
        if not isinstance(each, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInput(f"a type is {each!r}; it must be text")
        _check_unicode("a type", each)
    types = list(dict.fromkeys(types))
    if not types:
        raise InvalidInput("task_types is empty; leave it out to take tasks of any type")
    return types


def check_outcome(status: TaskStatus | str) -> TaskStatus:
    """Check the status with which a task ends.

    Raises:
        InvalidInput: the status is not final.
    """
    try:
        outcome = TaskStatus(status)
    except ValueError:
        outcome = None
    if outcome not in OUTCOMES:
        known = ", ".join(each.value for each in OUTCOMES)
        raise InvalidInput(f"status is {status!r}; a task ends with one of {known}")
    assert outcome is not None
    return outcome


def check_status(status: TaskStatus | str) -> TaskStatus:
    """Check a status.

    Raises:
        InvalidInput: there is no such status.
    """
    try:
        return TaskStatus(status)
    except ValueError:
        known = ", ".join(dict.fromkeys(each.value for each in TaskStatus))
        raise InvalidInput(f"status is {status!r}; it must be one of {known}") from None


def check_outcomes(statuses: Collection[TaskStatus | str]) -> list[TaskStatus]:
    """Check a list of final statuses, and remove duplicates.

    Raises:
        InvalidInput: it is not a list, or a status is not final.
    """
    if isinstance(statuses, str):
        raise InvalidInput(f"statuses is the text {statuses!r}; give a list of statuses")
    settled = list(dict.fromkeys(check_status(each) for each in statuses))
    for each in settled:
        if each not in OUTCOMES:
            known = ", ".join(outcome.value for outcome in OUTCOMES)
            raise InvalidInput(
                f"statuses has {each.value!r}; only settled tasks can be removed: {known}"
            )
    return settled


def check_hours(name: str, hours: float) -> None:
    """Check a number of hours.

    Raises:
        InvalidInput: it is negative, not finite or not a number.
    """
    if not _is_number(hours) or not (hours >= 0 and math.isfinite(hours)):
        raise InvalidInput(f"{name} is {hours!r}; it must be 0 or more")


def check_limit(limit: int | None) -> int | None:
    """Check a maximum count; None stands for no limit.

    Raises:
        InvalidInput: it is below 1 or not an integer.
    """
    if limit is not None and (not _is_integer(limit) or limit < 1):
        raise InvalidInput(
            f"limit is {limit!r}; it must be an integer of 1 or more, or None for all"
        )
    return limit


def find_sqlite_path(state_file: str | Path) -> Path | None:
    """The path of the SQLite file, or None for a JSON file.

    Raises:
        InvalidInput: it is no path, or it begins with "sqlite:" but is not a valid name of a SQLite
            file.
    """
    if isinstance(state_file, Path):
        if state_file.parts[:1] == (_SQLITE,):
            raise InvalidInput(
                f"state_file is the path {str(state_file)!r}; give 'sqlite:///NAME.db' as text"
            )
        return None
    if not isinstance(state_file, str):  # pyright: ignore[reportUnnecessaryIsInstance] - users'
        raise InvalidInput(f"state_file is {show(state_file)}; it must be a path")
    if not state_file.startswith(_SQLITE):
        return None
    name = state_file.removeprefix(_SQLITE_PREFIX)
    if name == state_file or not name:
        raise InvalidInput(
            f"state_file is {state_file!r}; name a SQLite file by 'sqlite:///NAME.db', or by "
            "'sqlite:////FOLDER/NAME.db' for an absolute path"
        )
    return Path(name)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _check_unicode(name: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput(
            f"{name} is {text!r}, which has a lone surrogate; it must be valid Unicode"
        ) from None
