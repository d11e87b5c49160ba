"""Looks through the tasks of a run part by part, never through all of them at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import dropwhile, islice
from typing import NamedTuple, cast

from ...messages import TaskId, TaskStatus
from ..kernel.model.records import TaskRecord

MAX_LOOKED_AT = 20_000
"""How many tasks one look goes through at most."""


class Wanted(NamedTuple):
    """Which tasks are wanted.

    Args:
        status: of this status, or None for any.
        worker: that this worker had last, or "" for any.
        text: with this text in id or description, whatever its case, or "" for any.
    """

    status: TaskStatus | None = None
    worker: str = ""
    text: str = ""

    def fits(self, record: TaskRecord) -> bool:
        """Whether a task is wanted."""
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
        after: the number to go on after; None if there are no more.
    """

    records: list[TaskRecord]
    after: int | None


def look_through(
    tasks: Mapping[TaskId, TaskRecord], wanted: Wanted, after: int | None, limit: int
) -> TaskListPart:
    """Find some tasks.

    Args:
        tasks: all tasks, in the order of their adding.
        wanted: which.
        after: the number after which to begin; None begins with the first.
        limit: how many to find at most.
    """
    records: list[TaskRecord] = []
    last: int | None = None
    for looked_at, record in enumerate(_records_after(tasks, after)):
        if len(records) == limit or looked_at == MAX_LOOKED_AT:
            return TaskListPart(records, last)
        last = record.sequence
        if wanted.fits(record):
            records.append(record)
    return TaskListPart(records, None)


def _records_after(tasks: Mapping[TaskId, TaskRecord], after: int | None) -> Iterator[TaskRecord]:
    records = iter(tasks.values())
    if after is None or not tasks:
        return records
    first = tasks[next(iter(tasks))].sequence
    last = tasks[next(reversed(cast("dict[TaskId, TaskRecord]", tasks)))].sequence
    # Where none was forgotten a task's place follows from its number; else it is that much before.
    forgotten = last - first + 1 - len(tasks)
    surely_before = max(after - first + 1 - forgotten, 0)
    return dropwhile(lambda record: record.sequence <= after, islice(records, surely_before, None))
