"""The matches of a pairing policy, which pairs waiting tasks and free workers in one call."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ....messages import Task, TaskId
from ..model.decision import Decision
from ..model.records import WorkerRecord
from .addressed import AddressedPolicy
from .policies import PairingPolicy
from .ready_queue import QueueEntry
from .waiting_queue import Match, WaitingQueue

_PAIRED_AT_ONCE = 1_000
"""The maximum number of waiting tasks that a pairing policy gets per call; calls are frequent."""


class PairedMatches:
    """The matches that a pairing policy makes."""

    def __init__(self, queue: WaitingQueue, policy: PairingPolicy) -> None:
        self._queue = queue
        self._policy = policy

    def take(self, now: float) -> Iterator[Match]:
        """Remove and yield the tasks that the policy assigns; call `refresh` first.

        The caller must assign each match before it requests the next.
        """
        queue = self._queue
        if not queue.count or not queue.free:
            return
        matched = [group for group in queue.groups.values() if group.count and group.candidate_set]
        current = (entry for group in matched for entry in group.current_entries())
        limiter = queue.limiter
        if limiter is not None:
            current = (entry for entry in current if limiter.allows(entry.record))
        entries = heapq.nsmallest(_PAIRED_AT_ONCE, current)
        waiting = {entry.record.task_id: entry for entry in entries}
        free = sorted(queue.free, key=lambda worker: worker.order)
        has_paired = False
        paired = self._policy.pair([entry.record.task for entry in waiting.values()], free)
        for worker, task in [*self._addressed(waiting, free), *paired]:
            entry = waiting.get(task.id)
            if entry is None or worker not in queue.free:
                continue
            record, group = entry.record, entry.group
            current = record.queue_entry
            if not isinstance(current, QueueEntry) or current.stamp != entry.stamp:
                continue
            if queue.limiter is not None and not queue.limiter.allows(record):
                continue
            if not queue.eligibility_of(record).may_get(worker, queue.workers):
                continue
            has_paired = True
            queue.remove(record)
            decision = Decision(
                record.attempt + 1, queue.candidates_of(group), ((worker.name, 0.0),), 1
            )
            yield record, worker, decision, group.duration
        is_busy = has_paired or any(worker.taken or worker.suspended for worker in queue.workers)
        for group in matched:
            # Where `first` is None, limits allow none of its tasks to begin yet.
            if is_busy or group.entries.first is None:
                group.unmatched_since = None
            elif group.unmatched_since is None:
                # All workers are idle, so no event will change the pairing: they are unmatched.
                group.unmatched_since = now
                queue.unmatched_timeout.begin(now, group)

    def _addressed(
        self, waiting: Mapping[TaskId, QueueEntry], free: Sequence[WorkerRecord]
    ) -> Iterable[tuple[WorkerRecord, Task]]:
        policy = self._queue.policy
        if not isinstance(policy, AddressedPolicy):
            return []
        by_name = {worker.name: worker for worker in free}
        meant = policy.addressees
        return [
            (by_name[meant[task_id]], entry.record.task)
            for task_id, entry in waiting.items()
            if task_id in meant and meant[task_id] in by_name
        ]
