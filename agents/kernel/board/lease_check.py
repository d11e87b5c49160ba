"""Leases that nobody works on: which attempts a worker is asked about, and when.

A worker tells how each attempt ended. Should it ever fail to, the attempt would hold its slot for
ever. So the manager answers a heartbeat, now and then, with the attempts that the worker has had
for a while, and the worker gives back those that it does not hold.

Question and answer travel in the numbered conversation. The question comes after the assignments
that it asks about, and the answer comes after all results that the worker had to tell. So what is
still under way, either way, is never taken for lost.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping

from ....messages import TaskId
from ..model.events import AskAboutLeases, Instruction
from ..model.records import Attempt, Rules, TaskRecord, WorkerRecord
from .prefetch import attempts_of

MAX_ASKED = 1_000
"""How many attempts one question names; the others have their turn at the next heartbeat."""

FIRST_ASKED_AFTER_HEARTBEATS = 2.0
"""How long an attempt is leased before the first question about it, in heartbeats."""

LONGEST_PAUSE_S = 60.0
"""How long it is at most until the next question about the same attempt."""

_PAUSE_SHARE = 1 / 8
"""The pause between two questions, as a share of how long the attempt has been leased."""


class LeaseCheck:
    """Asks workers whether they still hold what is leased to them.

    Args:
        rules: how often workers are heard.
        tasks: all tasks by id, as the board keeps them.
    """

    def __init__(self, rules: Rules, tasks: Mapping[TaskId, TaskRecord]) -> None:
        self._first_s = FIRST_ASKED_AFTER_HEARTBEATS * rules.heartbeat_s
        self._tasks = tasks

    def ask(self, worker: WorkerRecord, now: float, said: list[Instruction]) -> None:
        """Ask a worker that was just heard about what it should have held for a while."""
        if not (worker.running or worker.ahead or worker.stopping):
            return
        due = [attempt for attempt in self._attempts_at(worker) if self._is_due(attempt, now)]
        if not due:
            return
        asked = heapq.nsmallest(MAX_ASKED, due, _last_asked_at) if len(due) > MAX_ASKED else due
        for attempt in asked:
            attempt.asked_at = now
        keys = tuple((attempt.task.task_id, attempt.number) for attempt in asked)
        said.append(AskAboutLeases(worker.worker_id, keys))

    def _attempts_at(self, worker: WorkerRecord) -> Iterator[Attempt]:
        yield from attempts_of(worker.running)
        yield from attempts_of(worker.ahead)
        for task_id, number in worker.stopping:
            record = self._tasks.get(task_id)
            if record is not None:
                yield record.attempts[number - 1]

    def _is_due(self, attempt: Attempt, now: float) -> bool:
        if attempt.asked_at is None:
            return now - attempt.started_at >= self._first_s
        leased_s = now - attempt.started_at
        pause_s = max(self._first_s, min(leased_s * _PAUSE_SHARE, LONGEST_PAUSE_S))
        return now - attempt.asked_at >= pause_s


def _last_asked_at(attempt: Attempt) -> float:
    return attempt.started_at if attempt.asked_at is None else attempt.asked_at
