"""The lists that `TaskManager.tasks` and `task_results` return; appending to them works."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import SupportsIndex

from ...messages import Task, TaskId, TaskResult


class RunTaskList(list[Task]):
    """The current tasks of a run; appending a task adds it to the run.

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
        """Add a task to the run, as the last one."""
        self._add((task,))
        super().insert(index, task)


class ResultList(list[TaskResult]):
    """The current recorded results; appending a result of a task that has one changes nothing."""

    def append(self, result: TaskResult, /) -> None:
        """Append a result, unless the list has one of its task."""
        self.extend((result,))

    def extend(self, results: Iterable[TaskResult], /) -> None:
        """Append the results of tasks that have none in the list."""
        known: set[TaskId] = {each.task_id for each in self}
        for result in results:
            if result.task_id not in known:
                known.add(result.task_id)
                super().append(result)

    def insert(self, index: SupportsIndex, result: TaskResult, /) -> None:
        """Insert a result, unless the list has one of its task."""
        if all(each.task_id != result.task_id for each in self):
            super().insert(index, result)
