"""Checks the entries of a state document, and summarizes each for the document's index."""

from __future__ import annotations

import json
from typing import NamedTuple

from pydantic import JsonValue

from ...messages import TaskStatus, UnreadableTask
from .json_text import (
    InvalidStateDocument,
    check_depth,
    describe_kind,
    encode_json,
    parse_object,
    split_members,
)
from .json_values import from_timestamp
from .table import TaskEntry

_LONG_AGO = float("-inf")
_MAY_BE_NULL = ("parent_id", "locked_by", "locked_at", "created_at", "completed_at")
_TIMESTAMPS = ("locked_at", "created_at", "completed_at")


class EntrySummary(NamedTuple):
    """What the index keeps of a task, so that its line need not be parsed again.

    Args:
        task_id: its id.
        task_type: its type.
        status: its status; None if the task can't be read.
        parent_id: the id of its parent, or None.
        locked_by: the agent that holds it, or None.
        locked_at: when the agent took it, in seconds since 1970; long ago if that is unknown.
        settled_at: when it was settled, or else created, in seconds since 1970; None if both are
            unknown.
        fault: why the task can't be read and is set aside; "" if it can be read.
    """

    task_id: str
    task_type: str = ""
    status: TaskStatus | None = None
    parent_id: str | None = None
    locked_by: str | None = None
    locked_at: float = _LONG_AGO
    settled_at: float | None = None
    fault: str = ""


def check_document(document: JsonValue) -> TaskEntry:
    """Check the top level of a state document.

    Raises:
        InvalidStateDocument: it lacks a required name, or a value has the wrong type.
    """
    if not isinstance(document, dict):
        raise InvalidStateDocument(f"it is {describe_kind(document)}, not an object")
    for name, kind in (("workflow_type", str), ("metadata", dict), ("tasks", dict)):
        if name not in document:
            raise InvalidStateDocument(f"it has no {name!r}")
        if not isinstance(document[name], kind):
            expected = "an object" if kind is dict else "text"
            raise InvalidStateDocument(
                f"its {name!r} is {describe_kind(document[name])}, not {expected}"
            )
    return document


def check_entry(task_id: str, entry: JsonValue) -> EntrySummary:
    """Check that an entry is a valid task, and summarize it.

    Raises:
        InvalidStateDocument: it is not valid; the message says why.
    """
    if not isinstance(entry, dict):
        raise InvalidStateDocument(f"the task {task_id!r} is {describe_kind(entry)}, not an object")
    task_type, status = entry.get("type"), entry.get("status")
    if not isinstance(task_type, str):
        raise InvalidStateDocument(
            f"the type of task {task_id!r} is {describe_kind(task_type)}, not text"
        )
    try:
        known_status = TaskStatus(status)
    except ValueError:
        known = ", ".join(dict.fromkeys(each.value for each in TaskStatus))
        raise InvalidStateDocument(
            f"the status of task {task_id!r} is {status!r}; it must be one of {known}"
        ) from None
    texts: dict[str, str | None] = {}
    for name in _MAY_BE_NULL:
        value = entry.get(name)
        if value is not None and not isinstance(value, str):
            raise InvalidStateDocument(
                f"{name} of task {task_id!r} is {describe_kind(value)}, not text"
            )
        texts[name] = value
    moments: dict[str, float] = {}
    for name in _TIMESTAMPS:
        text = texts[name]
        if text is not None:
            try:
                moments[name] = from_timestamp(text)
            except ValueError:
                raise InvalidStateDocument(
                    f"{name} of task {task_id!r} is {text!r}, which is not an ISO 8601 timestamp"
                ) from None
    is_held = texts["locked_by"] is not None and "locked_at" in moments
    return EntrySummary(
        task_id,
        task_type,
        known_status,
        texts["parent_id"],
        texts["locked_by"],
        # A task in progress without a holder or a time would never be completed: it has timed out.
        moments["locked_at"] if is_held else _LONG_AGO,
        moments.get("completed_at", moments.get("created_at")),
    )


def make_line(task_id: str, entry: JsonValue) -> tuple[bytes, EntrySummary]:
    """Encode a task as its line of the document, and summarize it.

    Raises:
        InvalidStateDocument: the entry is not a valid task.
    """
    line = b"%b: %b" % (encode_json(task_id), encode_json(entry))
    check_depth(line)
    return line, check_entry(task_id, entry)


def read_line(line: bytes) -> EntrySummary:
    """Summarize the task of a line; one that can't be read gets a summary that says why.

    Raises:
        InvalidStateDocument: the line does not have exactly one task.
    """
    try:
        check_depth(line)
        found = parse_object(b"{%b}" % line)
        if len(found) == 1:
            ((task_id, entry),) = found.items()
            return check_entry(task_id, entry)
        fault = InvalidStateDocument("a line has more than one task")
    except InvalidStateDocument as found_fault:
        fault = found_fault
    try:
        ((name, _),) = split_members(f"{{{line.decode()}}}")
    except ValueError:
        raise fault from None
    return EntrySummary(json.loads(name), fault=str(fault))


def unreadable(task_id: str, fault: str) -> UnreadableTask:
    """Make the error for a task that was set aside.

    Args:
        task_id: its id.
        fault: why it can't be read.
    """
    return UnreadableTask(
        f"the task {task_id!r} can't be read: {fault}; it is left unchanged and set aside; "
        "repair it in the file"
    )
