"""Lists of a run as a manager's attributes show them: what is appended is not lost, nor doubled."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import SupportsIndex

from ...messages import Task, TaskId, TaskResult


class RunTaskList(list[Task]):
    """The tasks of a run as they are now; a task that is appended is added to the run.

    Args:
        tasks: the tasks.
        add: adds tasks to the run.
    """

    def __init__(self, tasks: Iterable[Task], add: Callable[[Iterable[Task]], None]) -> None:
        super().__init__(tasks)
        self._add = add

    def append(self, task: Task, /) -> None:
        """Add a task to the run."""
        self.extend((task,))

    def extend(self, tasks: Iterable[Task], /) -> None:
        """Add tasks to the run."""
        batch = list(tasks)
        self._add(batch)
        super().extend(batch)

    def insert(self, index: SupportsIndex, task: Task, /) -> None:
        """Add a task to the run; its place there is the last."""
        self._add((task,))
        super().insert(index, task)


class ResultList(list[TaskResult]):
    """The recorded results as they are now; to append one that is there changes nothing."""

    def append(self, result: TaskResult, /) -> None:
        """Append a result unless that of its task is there."""
        self.extend((result,))

    def extend(self, results: Iterable[TaskResult], /) -> None:
        """Append those whose tasks have none there."""
        there: set[TaskId] = {each.task_id for each in self}
        for result in results:
            if result.task_id not in there:
                there.add(result.task_id)
                super().append(result)

    def insert(self, index: SupportsIndex, result: TaskResult, /) -> None:
        """Insert a result unless that of its task is there."""
        if all(each.task_id != result.task_id for each in self):
            super().insert(index, result)
