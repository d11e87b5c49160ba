"""What can be asked of the tasks in a state file; nothing is changed by it."""

from __future__ import annotations

from typing import TypedDict

from ...messages import TaskStatus
from .table import Entry
from .task_entry import view
from .validation import check_agent, check_limit, check_status
from .workflow import StateFileWorkflow


class StatusSummary(TypedDict):
    """What `StateFileTaskManager.get_status_summary` tells.

    Args:
        total_tasks: how many tasks there are.
        status_counts: how many of each status; every status is named.
        type_counts: how many of each type that occurs.
    """

    total_tasks: int
    status_counts: dict[str, int]
    type_counts: dict[str, int]


class StateFileQueries(StateFileWorkflow):
    """The questions that a `StateFileTaskManager` answers; see there."""

    def get_task(self, task_id: str) -> Entry:
        """A task, with its `id`, as a copy.

        Raises:
            UnknownTask: there is no such task.
        """
        with self._table.reading():
            return view(task_id, self._find(task_id))

    def get_task_children(self, task_id: str) -> list[Entry]:
        """The tasks that belong to another, in the order of their creation.

        Raises:
            UnknownTask: there is no such task.
        """
        with self._table.reading():
            self._find(task_id)
            return self._views(self._table.children(task_id))

    def get_held_tasks(self, agent_id: str) -> list[Entry]:
        """The tasks that an agent holds; for one that was started again under its old id."""
        check_agent(agent_id)
        with self._table.reading():
            return self._views(self._table.held_by(agent_id))

    def get_status_summary(self) -> StatusSummary:
        """How many tasks there are, of which status and of which type."""
        with self._table.reading():
            tallies = self._table.tallies()
        counts = {each.value: tallies.by_status.get(each.value, 0) for each in TaskStatus}
        return StatusSummary(
            total_tasks=sum(counts.values()),
            status_counts=counts,
            type_counts=dict(tallies.by_type),
        )

    def get_tasks(
        self, status: TaskStatus | str | None = None, *, limit: int | None = None
    ) -> list[Entry]:
        """The tasks of one status, each with its `id`, in the order of their creation.

        Args:
            status: which; None for the tasks of all.
            limit: how many at most, 1 or more; None for all of them.

        Raises:
            InvalidInput: there is no such status, or the limit is out of range.
        """
        wanted = None if status is None else check_status(status)
        most = check_limit(limit)
        with self._table.reading():
            return self._views(self._table.with_status(wanted, most))

    def get_unreadable_tasks(self) -> dict[str, str]:
        """The tasks that can't be read, by their ids, and why; they stay as they are in the file.

        Nobody gets them until they are mended there, all calls for one of them raise
        `UnreadableTask`, and no other call tells of them. The file's other tasks go on.
        """
        with self._table.reading():
            return dict(self._table.set_aside())
