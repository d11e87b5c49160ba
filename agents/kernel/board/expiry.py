"""The expiry of tasks: a task fails if it does not begin in time."""

from __future__ import annotations

from dataclasses import dataclass

from ..model.records import AttemptOutcome, TaskRecord
from ..model.story_text import describe_since
from .delays import earliest_of


@dataclass(slots=True, eq=False)
class Expiry:
    """The timer for the expiry of a task.

    Args:
        record: the task.
        at: the time at which the task expires unless an attempt has begun, in seconds.
    """

    record: TaskRecord
    at: float

    def due_at(self) -> float | None:
        """When the task fails; None if it is settled or has begun."""
        record = self.record
        return None if record.status.is_final or has_begun(record) else self.at


def expiry_of(record: TaskRecord, time_scale: float) -> Expiry | None:
    """Create the timer for a task's expiry; None if it has none.

    It counts from `since`, or from the time before which the task must not begin.

    Args:
        record: the task.
        time_scale: the real duration of one second of `expires_s`, in seconds.
    """
    limit_s = record.task.expires_s
    if limit_s is None:
        return None
    earliest = earliest_of(record, time_scale)
    begins_at = record.since if earliest is None else max(record.since, earliest)
    return Expiry(record, begins_at + limit_s * time_scale)


def has_begun(record: TaskRecord) -> bool:
    """Whether any current attempt at a task has had a slot; a prefetched attempt has none."""
    return any(
        not attempt.is_prefetched and attempt.outcome is not AttemptOutcome.NOT_BEGUN
        for attempt in record.current_attempts
    )


def describe_expiry(record: TaskRecord) -> str:
    """The error of a task that did not begin in time."""
    since = f"it {describe_since(record)}"
    if record.task.not_before is not None:
        since += ", or after its not_before"
    return f"expired: it had not begun {record.task.expires_s:g} s after {since}"
