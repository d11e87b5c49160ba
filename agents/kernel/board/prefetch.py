"""Prefetching: tasks sent to a worker beyond its free slots, and recalled if others are idle.

A worker with short tasks would wait for the network most of the time. So it gets a little work
beyond its slots: as much as it does in a moment, and none if its tasks are long. It begins these
tasks in the order in which they came. The board assumes the same order, so an attempt's time runs
from when it has a slot.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from ....messages import TaskId
from ..matching.policies import describe_unavailability
from ..matching.task_queue import TaskQueue
from ..model.instructions import SendRecall
from ..model.leases import limit_attempt
from ..model.records import Attempt, TaskRecord, WorkerRecord
from .context import BoardContext

RECALL_AFTER_S = 0.1
"""How long a task waits at a worker before it is recalled, if another worker is free for it."""


@dataclass(slots=True, eq=False)
class PrefetchRecall:
    """The time of the next look for prefetched tasks to recall."""

    at: float | None = None

    def due_at(self) -> float | None:
        """When to look, in seconds; None if no task is prefetched."""
        return self.at


class Prefetch:
    """Keeps track of what workers hold beyond their slots.

    Args:
        context: what the parts of the board share.
        queue: which workers are free.
    """

    def __init__(self, context: BoardContext, queue: TaskQueue) -> None:
        self._context = context
        self._queue = queue
        self.recall = PrefetchRecall()

    def hold(self, attempt: Attempt) -> bool:
        """Count an attempt as prefetched; whether the timer `recall` must be set."""
        worker = attempt.worker
        worker.prefetched[attempt.task.task_id, attempt.number] = attempt.task
        worker.prefetched_s += attempt.expected_s
        return self.recall.at is None and self.watch(worker)

    def watch(self, worker: WorkerRecord) -> bool:
        """Look for tasks to recall if a worker has some; whether `recall` must be set for that."""
        if not worker.prefetched or self.recall.at is not None:
            return False
        self.recall.at = self._context.now + RECALL_AFTER_S
        return True

    def restore(self, attempt: Attempt) -> bool:
        """Restore a lease; whether the timer `recall` must be set.

        Its worker began as many attempts as it has slots, in the order of their numbers.
        """
        worker, record = attempt.worker, attempt.task
        if worker.taken >= worker.slots:
            attempt.is_prefetched = True
            attempt.deadline = None
            return self.hold(attempt)
        worker.running[record.task_id, attempt.number] = record
        if attempt.deadline is None:
            # The row may be from when the attempt was still prefetched.
            _, attempt.deadline = self._limit(record)
        return False

    def release(self, attempt: Attempt) -> None:
        """Note that a prefetched attempt has ended or has got a slot."""
        worker = attempt.worker
        del worker.prefetched[attempt.task.task_id, attempt.number]
        attempt.is_prefetched = False
        # Sums of floats drift, so the last one out sets it to 0.
        worker.prefetched_s = worker.prefetched_s - attempt.expected_s if worker.prefetched else 0.0

    def promote(self, worker: WorkerRecord) -> list[Attempt]:
        """Give a worker's free slots to the attempts that were prefetched first; these."""
        promoted: list[Attempt] = []
        free = max(worker.slots - worker.taken, 0)
        # In one pass: finding the first key of a dict takes long after many removals.
        for key, record in tuple(islice(worker.prefetched.items(), free)):
            attempt = record.attempts[key[1] - 1]
            self.release(attempt)
            worker.running[key] = record
            attempt.started_at = self._context.now
            _, attempt.deadline = self._limit(record)
            promoted.append(attempt)
        return promoted

    def recall_unbegun(self) -> None:
        """Recall attempts for which another worker is free, or whose worker gets no tasks now.

        The worker gives back what it has not begun.
        """
        now = self._context.now
        self.recall.at = None
        for worker in self._queue.workers:
            if not worker.prefetched:
                continue
            self.recall.at = now + RECALL_AFTER_S
            is_idled = describe_unavailability(worker) is not None
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

    def _limit(self, record: TaskRecord) -> tuple[float | None, float | None]:
        return limit_attempt(record.task, self._context.now, self._context.rules.time_scale)


def attempts_of(leases: dict[tuple[TaskId, int], TaskRecord]) -> Iterable[Attempt]:
    """The attempts of some leases of a worker."""
    return (record.attempts[number - 1] for (_, number), record in leases.items())
