"""The interface between a `StateFileTaskManager` and the file that keeps its tasks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol, TypeAlias

from pydantic import JsonValue

from ...messages import TaskStatus

TaskEntry: TypeAlias = dict[str, JsonValue]
"""A stored task without its id: `type`, `status`, `parent_id`, `locked_by`, `locked_at`,
`created_at`, `completed_at`, `data`, and any other fields."""


class StatusCounts(NamedTuple):
    """How many tasks there are.

    Args:
        by_status: counts by the value of the status; statuses without tasks are left out.
        by_type: counts by the type.
    """

    by_status: Mapping[str, int]
    by_type: Mapping[str, int]


class TaskFile(Protocol):
    """A file of tasks; only one thread changes it at a time."""

    @property
    def has_schedule(self) -> bool:
        """Whether `priority`, `not_before`, `max_attempts` and `failures` are supported."""
        ...

    @property
    def tasks(self) -> TaskTable:
        """The tasks; only to be used within `changing` or `reading`."""
        ...

    def changing(self) -> AbstractContextManager[float]:
        """Exclude all other writers, and write the changes at the end.

        An exception discards the changes.

        Returns:
            A context manager of the time in seconds since 1970, which becomes the time of the last
            change in the metadata.

        Raises:
            StoreBusy: another process held the lock for longer than the timeout.
            StoreUnusable: the file can't be read or written.
        """
        ...

    def reading(self) -> AbstractContextManager[None]:
        """Read a consistent snapshot.

        Raises:
            StoreUnusable: the file can't be read.
        """
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class TaskTable(Protocol):
    """Tasks in the order in which they were added."""

    def find(self, task_id: str) -> TaskEntry | None:
        """A copy of a task; None if no task has this id.

        Raises:
            UnreadableTask: the task can't be read.
        """
        ...

    def add(self, task_id: str, entry: TaskEntry) -> None:
        """Add a task under a new id."""
        ...

    def replace(self, task_id: str, entry: TaskEntry) -> None:
        """Replace a task by a changed one."""
        ...

    def remove(self, task_ids: Collection[str]) -> None:
        """Remove tasks permanently."""
        ...

    def next_pending(self, task_types: Sequence[str] | None, now: float) -> str | None:
        """The id of the next readable pending task, or None.

        Args:
            task_types: the types to choose from; None for all.
            now: the time in seconds since 1970.
        """
        ...

    def held_since_before(self, moment: float) -> list[str]:
        """The ids of the readable tasks in progress that were locked before a given time, in order.

        Args:
            moment: the time in seconds since 1970.
        """
        ...

    def held_by(self, agent_id: str) -> list[str]:
        """The ids of the tasks in progress that an agent holds, in order."""
        ...

    def with_status(self, status: TaskStatus | None, limit: int | None) -> list[str]:
        """The ids of the first readable tasks of one status, or of any, in order.

        Args:
            status: the status; None for any.
            limit: how many at most; None for all.
        """
        ...

    def settled_before(self, moment: float, statuses: Collection[TaskStatus]) -> list[str]:
        """The ids of the tasks with these statuses that were settled before a given time.

        A task without a time of completion counts as settled when it was created. One without
        either time is left out.

        Args:
            moment: the time in seconds since 1970.
            statuses: the statuses.
        """
        ...

    def families(self) -> list[tuple[str, str]]:
        """The id of each task that has a parent, with the id of the parent."""
        ...

    def set_aside(self) -> Mapping[str, str]:
        """The reason why each unreadable task can't be read, by its id."""
        ...

    def children(self, parent_id: str) -> list[str]:
        """The ids of the tasks that have this parent, in order."""
        ...

    def tallies(self) -> StatusCounts:
        """How many tasks there are, by status and by type."""
        ...

    def metadata(self) -> TaskEntry:
        """A copy of the metadata of the workflow."""
        ...

    def replace_metadata(self, metadata: TaskEntry) -> None:
        """Replace the metadata of the workflow."""
        ...


def status_of(entry: TaskEntry) -> TaskStatus:
    """The status of a task."""
    return TaskStatus(entry["status"])


def is_held_by(entry: TaskEntry, agent_id: str) -> bool:
    """Whether an agent holds the task."""
    return status_of(entry) is TaskStatus.IN_PROGRESS and entry.get("locked_by") == agent_id


def describe_holder(task_id: str, entry: TaskEntry) -> str:
    """Describe a task's status and holder, for error messages."""
    held = f", held by {holder!r}" if (holder := entry.get("locked_by")) is not None else ""
    since = f" since {entry['locked_at']}" if held else ""
    return f"task {task_id!r} is {status_of(entry).value}{held}{since}"


def view(task_id: str, entry: TaskEntry) -> TaskEntry:
    """A task as agents see it: with its id, and None for fields that its entry lacks."""
    documented: TaskEntry = {
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
