"""What a `StateFileTaskManager` asks of the place where its tasks are kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol, TypeAlias

from pydantic import JsonValue

from ...messages import TaskStatus

Entry: TypeAlias = dict[str, JsonValue]
"""A task as it is kept, without its id: `type`, `status`, `parent_id`, `locked_by`, `locked_at`,
`created_at`, `completed_at`, `data`, and whatever else stands there."""


class StatusCounts(NamedTuple):
    """How many tasks there are.

    Args:
        by_status: by the value of their status; only those that occur.
        by_type: by their type; only those that occur.
    """

    by_status: Mapping[str, int]
    by_type: Mapping[str, int]


class TaskTable(Protocol):
    """Tasks in the order of their adding, changed by one at a time, by any process or thread.

    Everything else is called within `changing` or `reading` only.
    """

    @property
    def has_schedule(self) -> bool:
        """Whether `priority`, `not_before`, `max_attempts` and `failures` are kept and heeded."""
        ...

    def changing(self) -> AbstractContextManager[float]:
        """Keep all others from changing anything, and write what was changed at the end.

        An exception leaves everything as it was.

        Returns:
            What gives the time in seconds since 1970, which the metadata then has as that of the
            last change.

        Raises:
            StoreBusy: another process did not make way in time.
            StoreUnusable: it can't be read or written.
        """
        ...

    def reading(self) -> AbstractContextManager[None]:
        """See everything as it was at one moment.

        Raises:
            StoreUnusable: it can't be read.
        """
        ...

    def find(self, task_id: str) -> Entry | None:
        """A task, as a copy; None if there is none of this id.

        Raises:
            UnreadableTask: it can't be read.
        """
        ...

    def add(self, task_id: str, entry: Entry) -> None:
        """Add a task of a new id."""
        ...

    def replace(self, task_id: str, entry: Entry) -> None:
        """Put a changed task in its place."""
        ...

    def remove(self, task_ids: Collection[str]) -> None:
        """Take tasks out, for good."""
        ...

    def next_pending(self, task_types: Sequence[str] | None, now: float) -> str | None:
        """The id of the pending task whose turn it is, or None; one that can be read.

        Args:
            task_types: the types that count; None for all.
            now: seconds since 1970.
        """
        ...

    def held_since_before(self, moment: float) -> list[str]:
        """The ids of the tasks in progress that were locked before a moment, in order.

        Only those that can be read.

        Args:
            moment: seconds since 1970.
        """
        ...

    def held_by(self, agent_id: str) -> list[str]:
        """The ids of the tasks in progress that an agent holds, in order."""
        ...

    def with_status(self, status: TaskStatus | None, limit: int | None) -> list[str]:
        """The ids of the first tasks of one status, or of all, in order.

        Args:
            status: which; None for all.
            limit: how many at most; None for all.
        """
        ...

    def settled_before(self, moment: float, statuses: Collection[TaskStatus]) -> list[str]:
        """The ids of the tasks of some statuses that have been so since before a moment.

        If it isn't told since when, the moment of their creation counts; if that isn't either,
        they are left out.

        Args:
            moment: seconds since 1970.
            statuses: which.
        """
        ...

    def families(self) -> list[tuple[str, str]]:
        """The ids of all tasks that belong to another, each with that one's."""
        ...

    def set_aside(self) -> Mapping[str, str]:
        """The tasks that can't be read: by their ids, why."""
        ...

    def children(self, parent_id: str) -> list[str]:
        """The ids of the tasks that belong to another, in order."""
        ...

    def tallies(self) -> StatusCounts:
        """How many tasks there are, by status and by type."""
        ...

    def metadata(self) -> Entry:
        """What is noted of the whole, as a copy."""
        ...

    def replace_metadata(self, metadata: Entry) -> None:
        """Note other things of the whole."""
        ...

    def close(self) -> None:
        """Give back what is open."""
        ...
