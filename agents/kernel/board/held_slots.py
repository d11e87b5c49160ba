"""Slots that workers still hold for attempts that were cancelled, timed out or overtaken.

Nobody can stop a handler that does not heed its cancel. Its slot stays taken until it returns, and
this tells whoever wonders where the slot has gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ....messages import TaskId
from ..model.records import Attempt, AttemptOutcome, TaskRecord, WorkerRecord

FIRST_TOLD_AFTER_S = 5.0
"""How long a handler has to heed its cancel before the first warning."""

TOLD_EVERY_S = 60.0
"""How long it is until the next warning."""

_WHAT_HAPPENED: Mapping[AttemptOutcome | None, str] = {
    AttemptOutcome.TIMED_OUT: "it timed out",
    AttemptOutcome.OVERTAKEN: "another worker had done it",
    AttemptOutcome.LOST: "its worker was lost for a while",
}


class HeldSlot(NamedTuple):
    """A slot that an attempt holds which is to stop.

    Args:
        task_id: the task.
        attempt: which attempt at it.
        since: when it was told to stop, in seconds.
        reason: what happened then, such as "it was cancelled".
    """

    task_id: TaskId
    attempt: int
    since: float
    reason: str

    def describe(self, now: float) -> str:
        """Tell it in words.

        Args:
            now: the time in seconds.
        """
        return tell_held_slot(self.task_id, self.attempt, now - self.since, self.reason)


def tell_held_slot(task_id: TaskId, attempt: int, held_s: float, reason: str) -> str:
    """Say that an attempt still holds its slot.

    Args:
        task_id: the task.
        attempt: which attempt at it.
        held_s: for how many seconds.
        reason: what happened before, such as "it was cancelled".
    """
    return (
        f"task {task_id} (attempt {attempt}) still holds a slot, {max(held_s, 0.0):.0f} s after "
        f"{reason}"
    )


@dataclass(slots=True, eq=False)
class HeldSlotWarning:
    """The next warning about a slot that an attempt holds which is to stop.

    Args:
        attempt: the attempt.
        at: when to warn, in seconds.
    """

    attempt: Attempt
    at: float

    def due_at(self) -> float | None:
        """When to warn, None once the worker has confirmed that it stopped, or is gone."""
        attempt = self.attempt
        key = (attempt.task.task_id, attempt.number)
        return self.at if key in attempt.worker.stopping else None


def held_slots(worker: WorkerRecord, tasks: Mapping[TaskId, TaskRecord]) -> list[HeldSlot]:
    """The slots of a worker that attempts hold which are to stop, the longest held first.

    Args:
        worker: the worker.
        tasks: all tasks by id.
    """
    if not worker.stopping:
        return []
    return sorted(_held_slots(worker, tasks), key=lambda held: held.since)


def held_slot_of(attempt: Attempt) -> HeldSlot:
    """What an attempt holds that is to stop and has not."""
    since = attempt.started_at if attempt.ended_at is None else attempt.ended_at
    reason = _WHAT_HAPPENED.get(attempt.ending, "it was cancelled")
    return HeldSlot(attempt.task.task_id, attempt.number, since, reason)


def holders_of(record: TaskRecord) -> Iterable[tuple[WorkerRecord, HeldSlot]]:
    """The workers at which a task still holds a slot though its attempt there has ended."""
    for attempt in record.attempts:
        if (record.task_id, attempt.number) in attempt.worker.stopping:
            yield attempt.worker, held_slot_of(attempt)


def _held_slots(worker: WorkerRecord, tasks: Mapping[TaskId, TaskRecord]) -> Iterator[HeldSlot]:
    for task_id, number in worker.stopping:
        record = tasks.get(task_id)
        if record is not None and 1 <= number <= record.attempt:
            yield held_slot_of(record.attempts[number - 1])
