"""The deadlines of tasks: when a waiting task fails because it can't be done in time any more."""

from __future__ import annotations

from dataclasses import dataclass

from ..matching.ready_queue import QueueEntry
from ..model.records import TaskRecord
from ..model.story_text import describe_since


@dataclass(slots=True, eq=False)
class Lateness:
    """The timer for a task that fails if it can't be completed by its deadline any more.

    Args:
        record: the task.
        at: its deadline, in seconds.
    """

    record: TaskRecord
    at: float

    def due_at(self) -> float | None:
        """When the task fails; None if it is settled, or if a worker runs it."""
        record = self.record
        if record.status.is_final or (record.attempts and _is_running(record)):
            return None
        return self.at - (shortest_s(record) or 0.0)


def lateness_of(record: TaskRecord, time_scale: float) -> Lateness | None:
    """Create the timer for a task's deadline; None if it has none."""
    at = deadline_of(record, time_scale)
    return None if at is None else Lateness(record, at)


def deadline_of(record: TaskRecord, time_scale: float) -> float | None:
    """When a task should be completed, in seconds; None for no deadline.

    Args:
        record: the task.
        time_scale: the real duration of one second of `deadline`, in seconds.
    """
    within_s = record.task.deadline
    return None if within_s is None else record.since + within_s * time_scale


def shortest_s(record: TaskRecord) -> float | None:
    """How long tasks such as a waiting one take at least, in seconds; None if that is unknown."""
    entry = record.queue_entry
    return entry.group.duration.shortest_s if isinstance(entry, QueueEntry) else None


def describe_lateness(record: TaskRecord) -> str:
    """The error of a task that can't be done in time any more."""
    within = f"{record.task.deadline:g} s after it {describe_since(record)}"
    least_s = shortest_s(record)
    if least_s is None:
        return f"late: it is not completed {within}"
    return (
        f"late: it can't be completed {within} any more; such tasks take {least_s:.3g} s at least"
    )


def describe_deadline(record: TaskRecord, time_scale: float, now: float) -> str | None:
    """How a task stands to its deadline, as text for people; None if it has none."""
    at = deadline_of(record, time_scale)
    if at is None:
        return None
    late_s = lateness_s(record, time_scale, now)
    if record.finished_at is None:
        if late_s is None:
            return f"its deadline is in {at - now:.1f} s"
        return f"it is late: its deadline was {late_s:.1f} s ago"
    if late_s is None:
        return "it was settled before its deadline"
    return f"it was late: it was settled {late_s:.1f} s after its deadline"


def lateness_s(record: TaskRecord, time_scale: float, now: float) -> float | None:
    """By how many seconds a task missed its deadline.

    Args:
        record: the task.
        time_scale: the real duration of one second of `deadline`, in seconds.
        now: the time, in seconds; a task that is not settled is late from its deadline on.

    Returns:
        The time from its deadline until it was settled, or until now. None if it has no deadline,
        or did not miss it.
    """
    at = deadline_of(record, time_scale)
    if at is None:
        return None
    late_s = (now if record.finished_at is None else record.finished_at) - at
    return late_s if late_s > 0 else None


def _is_running(record: TaskRecord) -> bool:
    last = record.attempts[-1]
    return last.outcome is None and not last.is_prefetched
