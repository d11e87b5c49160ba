"""The matches of busy workers with short tasks, which are sent ahead of free slots."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..model.decision import Decision
from ..model.records import MAX_PREFETCHED, WorkerRecord
from .offers import Offers
from .ready_queue import TaskGroup, most_urgent
from .waiting_queue import Match, WaitingQueue


class PrefetchedMatches:
    """Which tasks are prefetched by which workers.

    Args:
        queue: the waiting tasks and the workers.
        offers: the matches of a learning policy; None for other policies.
        prefetch_s: the amount of work that a worker may prefetch per slot, in seconds.
        quarantine_after: the number of consecutive failures that start a worker's quarantine; None
            never.
    """

    def __init__(
        self,
        queue: WaitingQueue,
        offers: Offers | None,
        prefetch_s: float,
        quarantine_after: int | None,
    ) -> None:
        self._queue = queue
        self._offers = offers
        self._prefetch_s = prefetch_s
        self._quarantine_after = quarantine_after
        # Workers without a free slot that may prefetch tasks; bounded by the workers.
        self._ready: set[WorkerRecord] = set()

    def update(self, worker: WorkerRecord, *, is_busy: bool) -> None:
        """Update whether a worker may prefetch tasks."""
        if self._prefetch_s and is_busy and prefetch_room_s(worker, self._prefetch_s) > 0:
            self._ready.add(worker)
        else:
            self._ready.discard(worker)

    def take(self) -> list[Match]:
        """Remove and return the tasks to prefetch; call it after `next_match` returned None.

        Tasks are taken in the order of urgency. If the most urgent one is not short, none is taken.
        """
        matches: list[Match] = []
        queue = self._queue
        if not queue.count or not self._ready:
            return matches
        # The worker with the least work is first; each gets at most an equal share of the tasks.
        ready = sorted(self._ready, key=lambda each: (each.prefetched_s / each.slots, each.order))
        share = math.ceil(queue.count / len(ready))
        for worker in ready:
            room_s = prefetch_room_s(worker, self._prefetch_s)
            held = len(worker.prefetched)
            most = min(held + share, max_prefetched(worker, self._quarantine_after))
            if self._offers is None:
                matches += self._most_urgent_for(worker, room_s, held, most)
            else:
                matches += self._offers.take_ahead(worker, room_s, held, most)
        return matches

    def _most_urgent_for(
        self, worker: WorkerRecord, room_s: float, held: int, most: int
    ) -> Iterator[Match]:
        queue = self._queue
        candidate_sets = queue.candidate_sets_of[worker]
        sampled: TaskGroup | None = None
        scored: tuple[tuple[str, float], ...] = ()
        decision: Decision | None = None
        while held < most:
            best = most_urgent(candidate_sets)
            if best is None:
                return
            record, group = best.record, best.group
            usual, number = group.duration, len(record.attempts) + 1
            # A task that failed before is not prefetched; it waits for its best worker.
            is_first = not group.failed_by and group.terms.restriction is None
            if not is_first or not usual.allows_prefetch(held) or usual.expected_s > room_s:
                return
            if record.task.type in worker.at_most_once_types:
                # A worker that is lost must not have begun it without the manager's knowledge.
                return
            if queue.limiter is not None and queue.limiter.is_limited(record.task):
                # It would begin later than it was counted.
                return
            queue.take(best)
            if group is not sampled:
                sampled, decision = group, None
                scored = ((worker.name, queue.policy.score(record.task, worker)),)
            if decision is None or decision.attempt != number:
                decision = Decision(number, queue.candidates_of(group), scored, 1)
            yield record, worker, decision, usual
            room_s -= usual.expected_s
            held += 1


def max_prefetched(worker: WorkerRecord, quarantine_after: int | None) -> int:
    """The maximum number of tasks that a worker may prefetch.

    A worker begins prefetched tasks without asking the manager. So the running, suspended and
    prefetched tasks together are limited to the number of failures that would start its
    quarantine. Then no task begins during a quarantine.

    Args:
        worker: the worker.
        quarantine_after: the number of consecutive failures that start a quarantine; None
            never.
    """
    if quarantine_after is None:
        return MAX_PREFETCHED
    may_fail = quarantine_after - worker.failures_in_a_row - len(worker.running)
    may_fail -= len(worker.suspended)
    return min(max(may_fail, 0), MAX_PREFETCHED)


def prefetch_room_s(worker: WorkerRecord, prefetch_s: float) -> float:
    """How much more work a worker may prefetch now, in seconds.

    It gets none until half of its prefetched work is done, so that tasks are sent in batches.

    Args:
        worker: the worker.
        prefetch_s: the maximum amount of prefetched work per slot, in seconds.
    """
    whole_s = prefetch_s * worker.slots
    if (
        worker.prefetched_s > whole_s / 2
        or len(worker.prefetched) > MAX_PREFETCHED // 2
        or worker.quarantined_until is not None
        or worker.is_leaving
    ):
        return 0.0
    return whole_s - worker.prefetched_s
