"""Finds tasks of a run that match a filter, in parts of bounded size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import dropwhile, islice
from typing import NamedTuple, cast

from ...messages import TaskId, TaskStatus
from ..kernel.model.records import TaskRecord

MAX_CHECKED = 20_000
"""How many tasks one call checks at most."""


class TaskFilter(NamedTuple):
    """Which tasks to find.

    Args:
        status: tasks of this status; None: any.
        worker: tasks last assigned to this worker; "": any.
        text: tasks with this text in their id or description, regardless of case; "": any.
    """

    status: TaskStatus | None = None
    worker: str = ""
    text: str = ""

    def matches(self, record: TaskRecord) -> bool:
        """Whether a task matches."""
        if self.status is not None and record.status is not self.status:
            return False
        if self.worker and record.worker != self.worker:
            return False
        text = self.text.casefold()
        return (
            not text
            or text in str(record.task_id).casefold()
            or text in record.task.description.casefold()
        )


class TaskListPart(NamedTuple):
    """A part of the list.

    Args:
        records: the tasks.
        after: the `after` of the next part; None if there are no more tasks.
    """

    records: list[TaskRecord]
    after: int | None


def find_tasks(
    tasks: Mapping[TaskId, TaskRecord], task_filter: TaskFilter, after: int | None, limit: int
) -> TaskListPart:
    """Find some tasks.

    Args:
        tasks: all tasks, in the order in which they were added.
        task_filter: which tasks to find.
        after: the number of the task to start after; None starts with the first.
        limit: how many to find at most.
    """
    records: list[TaskRecord] = []
    last: int | None = None
    for checked, record in enumerate(_records_after(tasks, after)):
        if len(records) == limit or checked == MAX_CHECKED:
            return TaskListPart(records, last)
        last = record.sequence
        if task_filter.matches(record):
            records.append(record)
    return TaskListPart(records, None)


def _records_after(tasks: Mapping[TaskId, TaskRecord], after: int | None) -> Iterator[TaskRecord]:
    records = iter(tasks.values())
    if after is None or not tasks:
        return records
    first = tasks[next(iter(tasks))].sequence
    last = tasks[next(reversed(cast("dict[TaskId, TaskRecord]", tasks)))].sequence
    # If none was forgotten, the number gives the index; otherwise the index is smaller.
    forgotten = last - first + 1 - len(tasks)
    skippable = max(after - first + 1 - forgotten, 0)
    return dropwhile(lambda record: record.sequence <= after, islice(records, skippable, None))
