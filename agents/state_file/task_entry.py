"""A task as it is kept: what its entry tells."""

from __future__ import annotations

from ...messages import TaskStatus
from .table import Entry


def status_of(entry: Entry) -> TaskStatus:
    """Where the task stands."""
    return TaskStatus(entry["status"])


def is_held_by(entry: Entry, agent_id: str) -> bool:
    """Whether an agent holds the task."""
    return status_of(entry) is TaskStatus.IN_PROGRESS and entry.get("locked_by") == agent_id


def describe_holder(task_id: str, entry: Entry) -> str:
    """A task's status and holder, for messages."""
    held = f", held by {holder!r}" if (holder := entry.get("locked_by")) is not None else ""
    since = f" since {entry['locked_at']}" if held else ""
    return f"task {task_id!r} is {status_of(entry).value}{held}{since}"


def view(task_id: str, entry: Entry) -> Entry:
    """A task as it is given to agents: with its id, and null for what its entry lacks."""
    documented: Entry = {
        "id": task_id,
        "type": None,
        "status": None,
        "parent_id": None,
        "locked_by": None,
        "locked_at": None,
        "created_at": None,
        "completed_at": None,
        "data": {},
    }
    return {**documented, **entry, "id": task_id}
