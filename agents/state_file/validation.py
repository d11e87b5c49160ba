"""What a `StateFileTaskManager` may be given, and what it says of the rest."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from pydantic import JsonValue

from ...messages import InvalidInput, InvalidTask, TaskStatus
from ...messages.task import MAX_ATTEMPTS, MAX_NAME_CHARACTERS
from .json_values import explain_unwritable
from .table import Entry
from .timestamps import to_timestamp

ID_BYTES = 4
"""How many bytes of chance an id has."""

OUTCOMES = (TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED)
"""How a task may be ended."""

_MAX_TYPE_CHARACTERS = MAX_NAME_CHARACTERS - 1 - 2 * ID_BYTES
_SQLITE = "sqlite:"
_SQLITE_PREFIX = "sqlite:///"


def new_entry(task_type: str, data: Mapping[str, JsonValue] | None, parent_id: str | None) -> Entry:
    """A new task's entry.

    Raises:
        InvalidTask: the type is no name, or JSON can't carry the data.
    """
    if not isinstance(task_type, str) or not task_type.strip():  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidTask(f"task_type is {task_type!r}; it must be text that is not blank")
    if len(task_type) > _MAX_TYPE_CHARACTERS:
        raise InvalidTask(
            f"task_type has {len(task_type)} characters; {_MAX_TYPE_CHARACTERS} are the most"
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


def schedule_of(priority: int, not_before: datetime | None, max_attempts: int) -> Entry:
    """What an entry says of the task's turn, where that is heeded.

    Raises:
        InvalidTask: a value is out of range.
    """
    if not _is_integer(priority) or not -(2**31) <= priority < 2**31:
        raise InvalidTask(f"priority is {priority!r}; it must be an integer of 32 bits")
    if not _is_integer(max_attempts) or not 1 <= max_attempts <= MAX_ATTEMPTS:
        raise InvalidTask(f"max_attempts is {max_attempts!r}; it must be 1 to {MAX_ATTEMPTS}")
    if not_before is not None and not isinstance(not_before, datetime):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidTask(f"not_before is {not_before!r}; it must be a datetime")
    return {
        "priority": priority,
        "not_before": None if not_before is None else to_timestamp(not_before.timestamp()),
        "max_attempts": max_attempts,
        "failures": 0,
    }


def check_json(name: str, value: Mapping[str, JsonValue]) -> Entry:
    """A dict as a copy.

    Raises:
        InvalidInput: it is none, or JSON can't carry it.
    """
    if not isinstance(value, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidInput(f"{name} is {type(value).__name__}; it must be a dict")
    checked = dict(value)
    reason = explain_unwritable(name, checked)
    if reason is not None:
        raise InvalidInput(f"{reason}; use None, bool, int, float, str, list and dict")
    return checked


def check_agent(agent_id: str) -> None:
    """See that an agent has a name.

    Raises:
        InvalidInput: it has none.
    """
    if not isinstance(agent_id, str) or not agent_id.strip():  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidInput(f"agent_id is {agent_id!r}; it must be text that is not blank")
    _check_unicode("agent_id", agent_id)


def check_types(task_types: Sequence[str] | None) -> list[str] | None:
    """The types that are named, each once; None if all are meant.

    Raises:
        InvalidInput: they are not a list, or name nothing.
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
        raise InvalidInput("task_types names no type; leave it out to take tasks of any")
    return types


def check_outcome(status: TaskStatus | str) -> TaskStatus:
    """The status with which a task is to be ended.

    Raises:
        InvalidInput: it is not one to end with.
    """
    try:
        outcome = TaskStatus(status)
    except ValueError:
        outcome = None
    if outcome not in OUTCOMES:
        ends = ", ".join(each.value for each in OUTCOMES)
        raise InvalidInput(f"a task can't be ended as {status!r}; it can be one of {ends}")
    assert outcome is not None
    return outcome


def check_status(status: TaskStatus | str) -> TaskStatus:
    """A status that tasks can have.

    Raises:
        InvalidInput: there is none of this name.
    """
    try:
        return TaskStatus(status)
    except ValueError:
        known = ", ".join(dict.fromkeys(each.value for each in TaskStatus))
        raise InvalidInput(f"status is {status!r}; it must be one of {known}") from None


def check_outcomes(statuses: Collection[TaskStatus | str]) -> list[TaskStatus]:
    """The statuses that are named, of settled tasks, each once.

    Raises:
        InvalidInput: they are not a list, or one of them is not that of a settled task.
    """
    if isinstance(statuses, str):
        raise InvalidInput(f"statuses is the text {statuses!r}; give a list of statuses")
    settled = list(dict.fromkeys(check_status(each) for each in statuses))
    for each in settled:
        if each not in OUTCOMES:
            ends = ", ".join(outcome.value for outcome in OUTCOMES)
            raise InvalidInput(
                f"statuses has {each.value!r}, and only settled tasks can be removed: {ends}"
            )
    return settled


def check_hours(name: str, hours: float) -> None:
    """See that a number of hours is one.

    Raises:
        InvalidInput: it is negative, or no number.
    """
    if not _is_number(hours) or not (hours >= 0 and math.isfinite(hours)):
        raise InvalidInput(f"{name} is {hours!r}; it must be 0 or more")


def check_limit(limit: int | None) -> int | None:
    """How many are wanted at most.

    Raises:
        InvalidInput: it is none or fewer.
    """
    if limit is not None and (not _is_integer(limit) or limit < 1):
        raise InvalidInput(
            f"limit is {limit!r}; it must be an integer of 1 or more, or None for all"
        )
    return limit


def find_sqlite_path(state_file: str | Path) -> Path | None:
    """The SQLite file that is meant, or None if a JSON file is.

    Raises:
        InvalidInput: it is nearly the name of a SQLite file.
    """
    if isinstance(state_file, Path):
        if state_file.parts[:1] == (_SQLITE,):
            raise InvalidInput(
                f"state_file is the path {str(state_file)!r}; give 'sqlite:///NAME.db' as text"
            )
        return None
    if not state_file.startswith(_SQLITE):
        return None
    name = state_file.removeprefix(_SQLITE_PREFIX)
    if name == state_file or not name:
        raise InvalidInput(
            f"state_file is {state_file!r}; a SQLite file is named as 'sqlite:///NAME.db', or "
            "'sqlite:////FOLDER/NAME.db' from the root"
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
        raise InvalidInput(f"{name} is {text!r}, which holds half a character") from None
