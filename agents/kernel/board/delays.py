"""Tasks that wait until a time: before their `not_before`, or between two attempts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ..model.records import TaskRecord


@dataclass(slots=True, eq=False)
class DelayEnd:
    """The timer for the time until which a task waits.

    Args:
        record: the task.
        at: the time, in seconds.
    """

    record: TaskRecord
    at: float

    def due_at(self) -> float | None:
        """When the wait ends; None if the task waits for this time no more."""
        return self.at if self.record.wait_until == self.at else None


def earliest_of(record: TaskRecord, time_scale: float) -> float | None:
    """Before which time a task must not begin, in seconds; None if there is no such time.

    Args:
        record: the task.
        time_scale: the real duration of one second of `not_before`, in seconds.
    """
    not_before = record.task.not_before
    if not_before is None:
        return None
    if isinstance(not_before, datetime):
        return not_before.timestamp()
    return record.added_at + not_before * time_scale
