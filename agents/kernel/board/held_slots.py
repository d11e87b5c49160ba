"""Warns of slots still held by attempts that were cancelled, timed out or overtaken.

A handler that ignores its cancellation can't be stopped. Its slot stays taken until it returns, and
these warnings give the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ....messages import TaskId
from ..model.occurrence_text import describe_held_slot
from ..model.occurrences import HeldSlotFacts
from ..model.records import Attempt, AttemptOutcome, TaskRecord, WorkerRecord

FIRST_WARNING_AFTER_S = 5.0
"""How long after a cancellation the first warning comes."""

WARNING_EVERY_S = 60.0
"""How long after a warning the next one comes."""

_WHAT_HAPPENED: Mapping[AttemptOutcome | None, str] = {
    AttemptOutcome.TIMED_OUT: "it timed out",
    AttemptOutcome.OVERTAKEN: "another worker had done it",
    AttemptOutcome.RETURNED: "its worker left for a while",
    AttemptOutcome.LOST: "its worker was lost for a while",
}


class HeldSlot(NamedTuple):
    """A slot that an attempt holds although it was told to stop.

    Args:
        task_id: the task.
        attempt: the number of the attempt.
        since: when it was told to stop, in seconds.
        reason: the reason for the stop, such as "it was cancelled".
    """

    task_id: TaskId
    attempt: int
    since: float
    reason: str

    def describe(self, now: float) -> str:
        """Describe the slot in words.

        Args:
            now: the time in seconds.
        """
        return describe_held_slot(self.task_id, self.attempt, now - self.since, self.reason)

    def facts(self, now: float) -> HeldSlotFacts:
        """The slot as facts of an occurrence.

        Args:
            now: the time in seconds.
        """
        return HeldSlotFacts(now - self.since, self.reason)


@dataclass(slots=True, eq=False)
class HeldSlotWarning:
    """The timer for the next warning about a slot that an attempt holds.

    Args:
        attempt: the attempt.
        at: when to warn, in seconds.
    """

    attempt: Attempt
    at: float

    def due_at(self) -> float | None:
        """When to warn; None once the worker has confirmed the stop, or is lost."""
        attempt = self.attempt
        key = (attempt.task.task_id, attempt.number)
        return self.at if key in attempt.worker.stopping else None


def held_slots(worker: WorkerRecord, tasks: Mapping[TaskId, TaskRecord]) -> list[HeldSlot]:
    """The slots of a worker held by attempts that were told to stop, the longest held first."""
    if not worker.stopping:
        return []
    return sorted(_held_slots(worker, tasks), key=lambda held: held.since)


def held_slot_of(attempt: Attempt) -> HeldSlot:
    """The slot held by an attempt that was told to stop."""
    since = attempt.started_at if attempt.ended_at is None else attempt.ended_at
    reason = _WHAT_HAPPENED.get(attempt.outcome, "it was cancelled")
    return HeldSlot(attempt.task.task_id, attempt.number, since, reason)


def holders_of(record: TaskRecord) -> Iterable[tuple[WorkerRecord, HeldSlot]]:
    """The workers at which a task still holds a slot although its attempt there has ended."""
    for attempt in record.attempts:
        if (record.task_id, attempt.number) in attempt.worker.stopping:
            yield attempt.worker, held_slot_of(attempt)


def _held_slots(worker: WorkerRecord, tasks: Mapping[TaskId, TaskRecord]) -> Iterator[HeldSlot]:
    for task_id, number in worker.stopping:
        record = tasks.get(task_id)
        if record is not None and 1 <= number <= record.attempt:
            yield held_slot_of(record.attempts[number - 1])
