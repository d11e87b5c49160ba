"""The read-only calls of a `StateFileTaskManager`."""

from __future__ import annotations

from typing import TypedDict

from ...messages import TaskStatus
from .table import TaskEntry, view
from .validation import check_agent, check_limit, check_status
from .workflow import StateFileWorkflow


class StatusSummary(TypedDict):
    """The result of `StateFileTaskManager.get_status_summary`.

    Args:
        total_tasks: how many tasks there are.
        status_counts: how many tasks each status has; every status is listed.
        type_counts: how many tasks each type has.
    """

    total_tasks: int
    status_counts: dict[str, int]
    type_counts: dict[str, int]


class StateFileQueries(StateFileWorkflow):
    """The read-only calls; see `StateFileTaskManager`."""

    def get_task(self, task_id: str) -> TaskEntry:
        """A copy of a task, with its `id`.

        Raises:
            UnknownTask: no task has this id.
        """
        with self._file.reading():
            return view(task_id, self._find(task_id))

    def get_task_children(self, task_id: str) -> list[TaskEntry]:
        """The tasks that have this parent, in the order of their creation.

        Raises:
            UnknownTask: no task has this id.
        """
        with self._file.reading():
            self._find(task_id)
            return self._views(self._tasks.children(task_id))

    def get_held_tasks(self, agent_id: str) -> list[TaskEntry]:
        """The tasks that an agent holds, such as one that restarted with the same id."""
        check_agent(agent_id)
        with self._file.reading():
            return self._views(self._tasks.held_by(agent_id))

    def get_status_summary(self) -> StatusSummary:
        """Count the tasks by status and by type."""
        with self._file.reading():
            tallies = self._tasks.tallies()
        counts = {each.value: tallies.by_status.get(each.value, 0) for each in TaskStatus}
        return StatusSummary(
            total_tasks=sum(counts.values()),
            status_counts=counts,
            type_counts=dict(tallies.by_type),
        )

    def get_tasks(
        self, status: TaskStatus | str | None = None, *, limit: int | None = None
    ) -> list[TaskEntry]:
        """The tasks of one status or all tasks, each with its `id`, in the order of their creation.

        Args:
            status: the status; None for any.
            limit: how many at most, 1 or more; None for all.

        Raises:
            InvalidInput: there is no such status, or the limit is out of range.
        """
        wanted = None if status is None else check_status(status)
        most = check_limit(limit)
        with self._file.reading():
            return self._views(self._tasks.with_status(wanted, most))

    def get_unreadable_tasks(self) -> dict[str, str]:
        """The reason why each unreadable task can't be read, by its id.

        These tasks stay unchanged in the file until somebody repairs them there. No agent gets
        them, a call that names one raises `UnreadableTask`, and lists leave them out. All other
        tasks can still be used.
        """
        with self._file.reading():
            return dict(self._tasks.set_aside())
