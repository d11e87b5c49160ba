"""Extracts from a trace which worker held which task from when to when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...messages import TaskId
from ..kernel.model.occurrences import (
    SETTLING,
    FailureCause,
    FailureFacts,
    Occurrence,
    OccurrenceKind,
    RequeueCause,
    RequeueFacts,
)
from ..kernel.trace import Trace

_ENDINGS = {
    OccurrenceKind.ATTEMPT_SUCCEEDED: "succeeded",
    OccurrenceKind.ATTEMPT_REVIEWED: "succeeded",
    OccurrenceKind.TASK_COMPLETED: "succeeded",
    OccurrenceKind.ATTEMPT_FAILED: "failed",
    OccurrenceKind.ATTEMPT_TIMED_OUT: "timed out",
    OccurrenceKind.ATTEMPT_DECLINED: "declined",
    OccurrenceKind.TASK_CANCELLED: "cancelled",
    OccurrenceKind.TASK_REQUEUED: "lost",
    OccurrenceKind.TASK_FAILED: "lost",
}


@dataclass(frozen=True, slots=True)
class Lease:
    """An attempt at a task.

    Args:
        task_id: the id of the task.
        attempt: the number of the attempt, from 1.
        worker: the name of the worker that held it.
        began_at: when it began, in seconds.
        ended_at: when it ended, in seconds; the end of the trace if it was still running then.
        ending: "succeeded", "failed", "timed out", "cancelled", "lost", "declined", "not begun" if
            its worker returned it, or "running".
    """

    task_id: TaskId
    attempt: int
    worker: str
    began_at: float
    ended_at: float
    ending: str


def leases_of(trace: Trace) -> list[Lease]:
    """All attempts of a run, in the order in which they began."""
    return sorted(_leases(trace), key=lambda lease: lease.began_at)


def _leases(trace: Trace) -> Iterator[Lease]:
    running: dict[TaskId, dict[int, tuple[str, float]]] = {}
    for each in trace.occurrences:
        if each.task_id is None:
            continue
        if each.what is OccurrenceKind.TASK_ASSIGNED:
            running.setdefault(each.task_id, {})[each.attempt] = (each.worker, each.at)
        elif each.what in _ENDINGS and each.task_id in running:
            attempts = running[each.task_id]
            # What settles a task ends all its attempts.
            ends_all = each.what in SETTLING or not each.attempt
            ended = list(attempts) if ends_all else [each.attempt]
            for attempt in ended:
                if attempt in attempts:
                    worker, began_at = attempts.pop(attempt)
                    ending = _ending(each, attempt)
                    yield Lease(each.task_id, attempt, worker, began_at, each.at, ending)
    last_at = trace.occurrences[-1].at if trace.occurrences else 0.0
    for task_id, attempts in running.items():
        for attempt, (worker, began_at) in attempts.items():
            yield Lease(task_id, attempt, worker, began_at, last_at, "running")


def _ending(end: Occurrence, attempt: int) -> str:
    """How an occurrence ended one of the attempts at its task."""
    if end.what is OccurrenceKind.TASK_COMPLETED and end.attempt != attempt:
        # It was overtaken.
        return "cancelled"
    return "not begun" if _has_not_begun(end) else _ENDINGS[end.what]


def _has_not_begun(end: Occurrence) -> bool:
    """Whether an occurrence ends an attempt that had not begun."""
    match end.facts:
        case RequeueFacts(RequeueCause.GIVEN_BACK) | FailureFacts(FailureCause.EXPIRED):
            return True
        case FailureFacts(FailureCause.LATE):
            return True
        case _:
            return False
