"""Finds lost leases: asks workers from time to time whether they still hold their attempts.

A worker reports the end of each attempt. If a report is missing, the attempt would hold its slot
forever. So the manager sometimes answers a heartbeat with a list of the worker's older attempts,
and the worker returns those that it does not hold.

Question and answer are sent in the numbered stream. The question follows the assignments that it
names, and the answer follows all results that the worker had to report. So an assignment or a
result in transit is never mistaken for lost.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping

from ....messages import TaskId
from ..model.instructions import AskAboutLeases
from ..model.records import Attempt, TaskRecord, WorkerRecord
from .context import BoardContext
from .prefetch import attempts_of

MAX_ASKED = 1_000
"""The maximum number of attempts per question; the others follow at the next heartbeat."""

FIRST_ASKED_AFTER_HEARTBEATS = 2.0
"""How long an attempt is leased before the first question about it, in heartbeats."""

LONGEST_PAUSE_S = 60.0
"""The maximum pause until the next question about the same attempt."""

_PAUSE_SHARE = 1 / 8
"""The pause between two questions, as a share of the time since the attempt was leased."""


class LeaseCheck:
    """Asks workers whether they still hold the attempts leased to them."""

    def __init__(self, context: BoardContext, tasks: Mapping[TaskId, TaskRecord]) -> None:
        self._context = context
        self._tasks = tasks

    def ask(self, worker: WorkerRecord) -> None:
        """Ask a worker that has just sent a message about its older attempts."""
        if not (worker.running or worker.prefetched or worker.stopping or worker.suspended):
            return
        now = self._context.now
        first_s = FIRST_ASKED_AFTER_HEARTBEATS * self._context.rules.heartbeat_s
        due = [each for each in self._attempts_at(worker) if _is_due(each, now, first_s)]
        if not due:
            return
        asked = heapq.nsmallest(MAX_ASKED, due, _last_asked_at) if len(due) > MAX_ASKED else due
        for attempt in asked:
            attempt.asked_at = now
        keys = tuple((attempt.task.task_id, attempt.number) for attempt in asked)
        self._context.instructions.append(AskAboutLeases(worker.worker_id, keys))

    def _attempts_at(self, worker: WorkerRecord) -> Iterator[Attempt]:
        yield from attempts_of(worker.running)
        yield from attempts_of(worker.prefetched)
        yield from attempts_of(worker.suspended)
        for task_id, number in worker.stopping:
            record = self._tasks.get(task_id)
            if record is not None:
                yield record.attempts[number - 1]


def _is_due(attempt: Attempt, now: float, first_s: float) -> bool:
    leased_s = now - attempt.started_at
    if attempt.asked_at is None:
        return leased_s >= first_s
    pause_s = max(first_s, min(leased_s * _PAUSE_SHARE, LONGEST_PAUSE_S))
    return now - attempt.asked_at >= pause_s


def _last_asked_at(attempt: Attempt) -> float:
    return attempt.started_at if attempt.asked_at is None else attempt.asked_at
