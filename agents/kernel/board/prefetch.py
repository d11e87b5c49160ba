"""Prefetching: tasks sent to a worker beyond its free slots, and recalled if others are idle.

A worker with short tasks would wait for the network most of the time. So it gets some tasks beyond
its slots, up to a total expected duration, and none if its tasks are long. It begins these tasks in
the order of arrival. The board assumes the same order, so an attempt's timeout runs from the moment
when it has a slot.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from ....messages import TaskId
from ..matching.policies import describe_unavailability
from ..matching.prefetched_matches import max_prefetched
from ..model.instructions import SendRecall
from ..model.leases import limit_attempt
from ..model.records import Attempt, TaskRecord, WorkerRecord
from ..model.suspension import worked_s
from .context import BoardContext

RECALL_AFTER_S = 0.1
"""How long a prefetched task waits before it is recalled, if another worker is free for it."""


@dataclass(slots=True, eq=False)
class PrefetchRecall:
    """The timer for the next check for prefetched tasks to recall."""

    at: float | None = None

    def due_at(self) -> float | None:
        """When to check, in seconds; None if no task is prefetched."""
        return self.at


class Prefetch:
    """Tracks the prefetched attempts of workers."""

    def __init__(self, context: BoardContext) -> None:
        self._context = context
        self._queue = context.queue
        self.recall = PrefetchRecall()

    def hold(self, attempt: Attempt) -> bool:
        """Add a prefetched attempt. Returns whether the timer `recall` must be set."""
        worker = attempt.worker
        worker.prefetched[attempt.task.task_id, attempt.number] = attempt.task
        worker.prefetched_s += attempt.expected_s
        return self.recall.at is None and self.watch(worker)

    def watch(self, worker: WorkerRecord) -> bool:
        """Plan a check if a worker has prefetched tasks. Returns whether `recall` must be set."""
        if not worker.prefetched or self.recall.at is not None:
            return False
        self.recall.at = self._context.now + RECALL_AFTER_S
        return True

    def restore(self, attempt: Attempt) -> bool:
        """Restore a lease. Returns whether the timer `recall` must be set.

        The worker began as many attempts as it has slots, in the order of their numbers.
        """
        worker, record = attempt.worker, attempt.task
        if attempt.suspended_at is not None:
            worker.suspended[record.task_id, attempt.number] = record
            return False
        if worker.taken >= worker.slots:
            attempt.is_prefetched = True
            attempt.deadline = None
            return self.hold(attempt)
        worker.running[record.task_id, attempt.number] = record
        if attempt.deadline is None:
            # The row may have been written when the attempt was still prefetched.
            _, attempt.deadline = self._limit(record)
        return False

    def restore_displaced(self, workers: Iterable[WorkerRecord]) -> None:
        """Mark the restored attempts that got a slot and lost it again.

        Their rows don't say so. But no worker prefetches so many that a quarantine would begin
        before their last, so those beyond that number were displaced.
        """
        for worker in workers:
            most = max_prefetched(worker, self._context.rules.quarantine_after)
            excess = max(len(worker.prefetched) - most, 0)
            for attempt in islice(attempts_of(worker.prefetched), excess):
                attempt.is_displaced = True

    def release(self, attempt: Attempt) -> None:
        """Remove a prefetched attempt that has ended or got a slot."""
        worker = attempt.worker
        del worker.prefetched[attempt.task.task_id, attempt.number]
        attempt.is_prefetched = attempt.is_displaced = False
        # Sums of floats drift, so the sum is reset to 0 with the last attempt.
        worker.prefetched_s = worker.prefetched_s - attempt.expected_s if worker.prefetched else 0.0

    def displace(self, attempt: Attempt) -> bool:
        """Let a running attempt wait for a slot again. Returns whether `recall` must be set.

        Its worker has not begun it: an attempt that was suspended has taken the slot that was meant
        for it. It is the first to get the next slot.
        """
        worker, record, now = attempt.worker, attempt.task, self._context.now
        key = (record.task_id, attempt.number)
        del worker.running[key]
        worker.stats.busy_time += worked_s(attempt, now)
        worker.prefetched = {key: record, **worker.prefetched}
        attempt.is_prefetched = attempt.is_displaced = True
        attempt.started_at = now
        attempt.deadline = None
        attempt.expected_s = 0.0 if attempt.duration is None else attempt.duration.expected_s
        worker.prefetched_s += attempt.expected_s
        return self.watch(worker)

    def promote(self, worker: WorkerRecord) -> list[Attempt]:
        """Move the oldest prefetched attempts into a worker's free slots. Returns them."""
        promoted: list[Attempt] = []
        free = max(worker.slots - worker.taken, 0)
        # In one pass: finding the first key of a dict takes long after many removals.
        for key, record in tuple(islice(worker.prefetched.items(), free)):
            attempt = record.attempts[key[1] - 1]
            self.begin(attempt)
            promoted.append(attempt)
        return promoted

    def begin(self, attempt: Attempt) -> None:
        """Move a prefetched attempt into a slot of its worker."""
        record = attempt.task
        self.release(attempt)
        attempt.worker.running[record.task_id, attempt.number] = record
        attempt.started_at = self._context.now
        _, attempt.deadline = self._limit(record)

    def recall_unbegun(self) -> None:
        """Recall attempts for which another worker is free, or whose worker gets no tasks now.

        The worker returns those that it has not begun.
        """
        now = self._context.now
        self.recall.at = None
        for worker in self._queue.workers:
            if not worker.prefetched:
                continue
            self.recall.at = now + RECALL_AFTER_S
            is_idled = describe_unavailability(worker) is not None or self._queue.is_too_dear(
                worker
            )
            if not (is_idled or self._queue.free):
                continue
            stuck = [
                (attempt.task.task_id, attempt.number)
                for attempt in attempts_of(worker.prefetched)
                if not attempt.is_recalled
                and attempt.started_at <= now - RECALL_AFTER_S
                and (is_idled or self._queue.has_free_for(attempt.task))
            ]
            for task_id, number in stuck:
                worker.prefetched[task_id, number].attempts[number - 1].is_recalled = True
            if stuck:
                self._context.instructions.append(SendRecall(worker.worker_id, tuple(stuck)))

    def recall_from(self, worker: WorkerRecord) -> None:
        """Recall all attempts that a worker has not begun, at once."""
        unbegun = tuple(
            (attempt.task.task_id, attempt.number)
            for attempt in attempts_of(worker.prefetched)
            if not attempt.is_recalled
        )
        for task_id, number in unbegun:
            worker.prefetched[task_id, number].attempts[number - 1].is_recalled = True
        if unbegun:
            self._context.instructions.append(SendRecall(worker.worker_id, unbegun))

    def _limit(self, record: TaskRecord) -> tuple[float | None, float | None]:
        return limit_attempt(record.task, self._context.now, self._context.rules.time_scale)


def attempts_of(leases: dict[tuple[TaskId, int], TaskRecord]) -> Iterable[Attempt]:
    """The attempts of some leases of a worker."""
    return (record.attempts[number - 1] for (_, number), record in leases.items())
