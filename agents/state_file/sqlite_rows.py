"""Converts the entries of tasks to rows of the SQLite file, and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

from .entry_checks import check_entry
from .json_text import InvalidStateDocument, check_depth, parse_object
from .json_values import from_timestamp
from .table import TaskEntry

COLUMNS: tuple[str, ...] = (
    "type",
    "status",
    "parent_id",
    "locked_by",
    "locked_at",
    "created_at",
    "completed_at",
    "data",
    "result_data",
    "priority",
    "not_before",
    "max_attempts",
    "failures",
)
_JSON_COLUMNS = ("data", "result_data")
_INTEGER_COLUMNS = ("priority", "max_attempts", "failures")


def read_row(task_id: str, row: tuple[Any, ...]) -> TaskEntry:
    """The entry that a row holds.

    Args:
        task_id: the id of the task.
        row: the values of `COLUMNS`.

    Raises:
        InvalidStateDocument: the row is not a valid task; says why.
    """
    entry = dict(zip(COLUMNS, row, strict=True))
    for name, value in entry.items():
        if isinstance(value, str) and not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise InvalidStateDocument(f"its {name} is not Unicode text") from None
        if name in _INTEGER_COLUMNS and not isinstance(value, int):
            raise InvalidStateDocument(f"its {name} is {str(value)[:20]!r}, not an integer")
        if name in _JSON_COLUMNS and value is not None:
            if not isinstance(value, str):
                raise InvalidStateDocument(f"its {name} is not text")
            check_depth(value.encode())
            entry[name] = parse_object(value)
    check_entry(task_id, entry)
    if entry["result_data"] is None:
        del entry["result_data"]
    return entry


def row_values(entry: TaskEntry) -> Iterator[object]:
    """The values of an entry, in the order of `COLUMNS`."""
    for name in COLUMNS:
        value = entry.get(name)
        is_json = name in _JSON_COLUMNS and value is not None
        yield json.dumps(value) if is_json else value


def held_since_of(entry: TaskEntry) -> float | None:
    """When the task was locked, in seconds since 1970; None if it is not locked."""
    locked_at = entry["locked_at"]
    return None if locked_at is None else from_timestamp(cast("str", locked_at))
