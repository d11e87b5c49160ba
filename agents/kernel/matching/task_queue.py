"""The waiting tasks: selects the next task and its worker.

Tasks that the policy treats alike wait in one group, ordered by urgency. Groups that the same
workers can run share a candidate set, which has a heap of the groups' first tasks. So an assignment
reads only the heads of a few candidate sets. The queue goes through all groups only when a worker
joins or leaves.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from ....messages import Task, TaskId
from ..model.decision import Candidates, Decision
from ..model.duration_estimate import DurationEstimate
from ..model.records import TaskRecord, WorkerRecord
from ..model.second_opinions import needs_second_opinion, restriction_of
from .addressed import AddressedPolicy
from .policies import (
    MatchingPolicy,
    PairingPolicy,
    describe_unavailability,
)
from .ready_queue import CandidateSet, QueueEntry, ReadyQueue, TaskGroup, most_urgent
from .restricted import describe_restricted_shortfall, find_restricted_obstacle
from .unmatched_timeout import UnmatchedTimeout
from .worker_ranking import WorkerRanking, name_best

_EMPTY_GROUPS_KEPT = 1_000
_PAIRED_AT_ONCE = 1_000
"""The maximum number of waiting tasks that a pairing policy gets per call; calls are frequent."""

Match: TypeAlias = tuple[TaskRecord, WorkerRecord, Decision, DurationEstimate]
"""A task, its worker, the decision, and the duration estimate for such tasks."""


class TaskQueue:
    """The waiting tasks and the connected workers.

    Args:
        policy: the matching policy.
        unmatched_after_s: the time after which a task fails that no connected worker can run, in
            seconds; None never.
        prefetch_s: the amount of work that a worker may prefetch per slot, in seconds.
        quarantine_after: the number of consecutive failures that start a worker's quarantine; None
            never.
    """

    def __init__(
        self,
        policy: MatchingPolicy,
        unmatched_after_s: float | None,
        prefetch_s: float = 0.0,
        quarantine_after: int | None = None,
    ) -> None:
        self.policy = policy
        self.pairs = policy.pair if isinstance(policy, PairingPolicy) else None
        self._prefetch_s = prefetch_s
        self._quarantine_after = quarantine_after
        # Bounded by the tasks, by `max_workers`, and for groups by `_drop_empty_groups`.
        self.workers: dict[WorkerRecord, None] = {}
        self.free: set[WorkerRecord] = set()
        # Workers without a free slot that may prefetch tasks.
        self._may_prefetch: set[WorkerRecord] = set()
        self.groups: dict[Hashable, TaskGroup] = {}
        self.candidate_sets: dict[frozenset[WorkerRecord], CandidateSet] = {}
        self.unmatched_timeout = UnmatchedTimeout(unmatched_after_s)
        self._candidate_sets_of: dict[WorkerRecord, list[CandidateSet]] = {}
        self._new_groups: list[TaskGroup] = []
        self._is_stale = False
        self._ranking = WorkerRanking()
        self._stamp = 0
        self._max_groups = _EMPTY_GROUPS_KEPT
        self.count = 0

    # ------------------------------------------------------------------ tasks

    def push(self, record: TaskRecord, now: float) -> None:
        """Add a task that waits for no other task."""
        task = record.task
        kind: Hashable = (task.type, self.policy.group(task))
        avoided = record.failed_by
        if needs_second_opinion(task):
            restriction = record.restriction = restriction_of(record)
            if restriction is not None:
                kind, avoided = (kind, restriction), restriction.avoided
        key = (kind, avoided)
        group = self.groups.get(key)
        if group is None:
            group = self._add_group(key, TaskGroup(kind, avoided, record))
        sequence = record.sequence
        self._stamp += 1
        urgency = self.policy.urgency(task, sequence)
        entry = QueueEntry(urgency, sequence, self._stamp, now, record, group)
        record.queue_entry = entry
        group.count += 1
        self.count += 1
        entries = group.entries
        entries.push(entry)
        if group.candidate_set is None:
            if group.unmatched_since is not None:
                self.unmatched_timeout.begin(now, entry)
        elif entries.first is entry:
            group.candidate_set.push_head(entry)

    def remove(self, record: TaskRecord) -> None:
        """Remove a task if it is waiting."""
        entry = record.queue_entry
        if isinstance(entry, QueueEntry):
            self._remove_entry(entry)

    def requeue(self, record: TaskRecord, now: float) -> None:
        """Reposition a waiting task, after its urgency or its possible workers have changed."""
        if record.queue_entry is not None:
            self.remove(record)
            self.push(record, now)

    def _remove_entry(self, entry: QueueEntry) -> None:
        entry.record.queue_entry = None
        self.count -= 1
        group = entry.group
        group.count -= 1
        if len(group.entries) > 2 * group.count + 8:
            group.entries = ReadyQueue(sorted(group.current_entries()))
            first = group.entries.first
            if group.candidate_set is not None and first is not None:
                group.candidate_set.push_head(first)

    def address(self, record: TaskRecord, worker: str, now: float) -> None:
        """Restrict a task to one worker."""
        if not isinstance(self.policy, AddressedPolicy):
            self.policy = AddressedPolicy(self.policy)
        self.policy.addressees[record.task_id] = worker
        self.requeue(record, now)

    def forget(self, task_id: TaskId) -> None:
        """Remove a forgotten task's address, if any."""
        if isinstance(self.policy, AddressedPolicy):
            self.policy.addressees.pop(task_id, None)

    def take_unmatched(self, now: float) -> list[tuple[TaskRecord, str]]:
        """Remove and return the tasks whose unmatched timeout has expired, with the reasons."""
        self.refresh(now)
        reasons: dict[TaskGroup, str] = {}
        unmatched: list[tuple[TaskRecord, str]] = []
        for entry in self.unmatched_timeout.take(now):
            record, group = entry.record, entry.group
            if group not in reasons:
                reasons[group] = self.describe_shortfall(record)
            self._remove_entry(entry)
            unmatched.append((record, reasons[group]))
        return unmatched

    # ------------------------------------------------------------------ workers

    def add_worker(self, worker: WorkerRecord) -> None:
        """Add a connected worker."""
        self.workers[worker] = None
        self._is_stale = True
        self.update_load(worker)

    def remove_worker(self, worker: WorkerRecord) -> None:
        """Remove a worker that is not connected any more."""
        del self.workers[worker]
        self.free.discard(worker)
        self._may_prefetch.discard(worker)
        self._is_stale = True

    def update_load(self, worker: WorkerRecord) -> None:
        """Update whether a worker is free, after its number of tasks has changed."""
        if self.is_free(worker):
            self.free.add(worker)
            self._may_prefetch.discard(worker)
            return
        self.free.discard(worker)
        if self._prefetch_s:
            if worker.prefetch_room_s(self._prefetch_s) > 0:
                self._may_prefetch.add(worker)
            else:
                self._may_prefetch.discard(worker)

    def is_free(self, worker: WorkerRecord) -> bool:
        """Whether a worker may get a task now."""
        return worker.is_free and not self.is_held_back(worker)

    def is_held_back(self, worker: WorkerRecord) -> bool:
        """Whether a worker gets no more tasks for now, because it is close to its quarantine.

        It has failed, and its quarantine would begin if all its running tasks failed too.
        """
        limit, failures = self._quarantine_after, worker.failures_in_a_row
        return limit is not None and failures > 0 and failures + len(worker.running) >= limit

    def update_availability(self, worker: WorkerRecord) -> None:
        """Update a worker that entered or left quarantine, or is retiring."""
        self.update_load(worker)
        # The candidate sets do not change, but explanations describe this worker differently.
        for group in self.groups.values():
            group.candidates = None

    # ------------------------------------------------------------------ matching

    def refresh(self, now: float) -> None:
        """Compute the candidate sets again if they may have changed."""
        self._ranking.reset()
        if self._is_stale:
            self._is_stale = False
            self.candidate_sets.clear()
            self._candidate_sets_of = {worker: [] for worker in self.workers}
            self._new_groups.clear()
            self._drop_empty_groups()
            waiting = list(self.groups.values())
        elif self._new_groups:
            waiting, self._new_groups = self._new_groups, []
        else:
            return
        able_for: dict[Hashable, list[WorkerRecord]] = {}
        for group in waiting:
            able = able_for.get(group.kind)
            if able is None:
                able = able_for[group.kind] = self._find_able(group)
            self._assign_candidates(group, able, now)

    def next_match(self) -> Match | None:
        """Remove and return the most urgent task that a free worker can run, after `refresh`."""
        free = self.free
        if not self.count or not free:
            return None
        several = len(free) > 1
        best = most_urgent(
            (
                candidate_set
                for candidate_set in self.candidate_sets.values()
                if not candidate_set.workers.isdisjoint(free)
            )
            if several
            else self._candidate_sets_of[next(iter(free))]
        )
        if best is None:
            return None
        candidate_set = self._take(best)
        record, group = best.record, best.group
        worker, decision = self._choose(record, group, candidate_set)
        return record, worker, decision, group.duration

    def paired(self, now: float) -> Iterator[Match]:
        """Remove and yield the tasks that a pairing policy assigns; call `refresh` first.

        The caller must assign each match before it requests the next.
        """
        assert self.pairs is not None
        if not self.count or not self.free:
            return
        matched = [group for group in self.groups.values() if group.count and group.candidate_set]
        entries = heapq.nsmallest(
            _PAIRED_AT_ONCE, (entry for group in matched for entry in group.current_entries())
        )
        waiting = {entry.record.task_id: entry for entry in entries}
        free = sorted(self.free, key=lambda worker: worker.order)
        has_paired = False
        for worker, task in [*self._addressed(waiting, free), *self._pair(waiting, free)]:
            entry = waiting.get(task.id)
            if entry is None or entry.record.queue_entry is not entry or worker not in self.free:
                continue
            record, group = entry.record, entry.group
            if self._find_obstacle(record, worker) is not None:
                continue
            has_paired = True
            self._remove_entry(entry)
            decision = Decision(
                record.attempt + 1, self._candidates_of(group), ((worker.name, 0.0),), 1
            )
            yield record, worker, decision, group.duration
        is_busy = has_paired or any(worker.taken for worker in self.workers)
        for group in matched:
            if is_busy:
                group.unmatched_since = None
            elif group.unmatched_since is None:
                # All workers are idle, so no event will change the pairing: they are unmatched.
                group.unmatched_since = now
                self.unmatched_timeout.begin(now, group)

    def _pair(
        self, waiting: Mapping[TaskId, QueueEntry], free: Sequence[WorkerRecord]
    ) -> Iterable[tuple[WorkerRecord, Task]]:
        assert self.pairs is not None
        return self.pairs([entry.record.task for entry in waiting.values()], free)

    def _addressed(
        self, waiting: Mapping[TaskId, QueueEntry], free: Sequence[WorkerRecord]
    ) -> Iterable[tuple[WorkerRecord, Task]]:
        if not isinstance(self.policy, AddressedPolicy):
            return []
        by_name = {worker.name: worker for worker in free}
        meant = self.policy.addressees
        return [
            (by_name[meant[task_id]], entry.record.task)
            for task_id, entry in waiting.items()
            if task_id in meant and meant[task_id] in by_name
        ]

    def take_prefetched(self) -> list[Match]:
        """Remove and return the tasks to prefetch; call it after `next_match` returned None.

        Tasks are taken in the order of urgency. If the most urgent one is not short, none is taken.
        """
        matches: list[Match] = []
        if not self.count or not self._may_prefetch:
            return matches
        # The worker with the least work is first; each gets at most an equal share of the tasks.
        may_prefetch = sorted(
            self._may_prefetch, key=lambda each: (each.prefetched_s / each.slots, each.order)
        )
        share = math.ceil(self.count / len(may_prefetch))
        for worker in may_prefetch:
            self._prefetch_for(worker, share, matches)
        return matches

    def _prefetch_for(self, worker: WorkerRecord, share: int, matches: list[Match]) -> None:
        room_s = worker.prefetch_room_s(self._prefetch_s)
        held = len(worker.prefetched)
        most = min(held + share, worker.max_prefetched(self._quarantine_after))
        candidate_sets = self._candidate_sets_of[worker]
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
            is_first = not group.failed_by and group.restriction is None
            if not is_first or not usual.allows_prefetch(held) or usual.expected_s > room_s:
                return
            self._take(best)
            if group is not sampled:
                sampled, decision = group, None
                scored = ((worker.name, self.policy.score(record.task, worker)),)
            if decision is None or decision.attempt != number:
                decision = Decision(number, self._candidates_of(group), scored, 1)
            matches.append((record, worker, decision, usual))
            room_s -= usual.expected_s
            held += 1

    def has_free_for(self, record: TaskRecord) -> bool:
        """Whether a worker with a free slot can run a task and has not failed it."""
        return any(
            worker.name not in record.failed_by and self._find_obstacle(record, worker) is None
            for worker in self.free
        )

    def _find_obstacle(self, record: TaskRecord | TaskGroup, worker: WorkerRecord) -> str | None:
        task = record.sample if isinstance(record, TaskGroup) else record.task
        return find_restricted_obstacle(self.policy, task, record.restriction, worker)

    def describe_shortfall(self, record: TaskRecord) -> str:
        """Why no connected worker can have the next attempt at a task."""
        return describe_restricted_shortfall(
            self.policy, record.task, record.restriction, self.workers
        )

    def _choose(
        self, record: TaskRecord, group: TaskGroup, candidate_set: CandidateSet
    ) -> tuple[WorkerRecord, Decision]:
        ranked = self._ranking.rank(self.policy, record, group, candidate_set, self.free)
        scored = name_best(ranked)
        decision = Decision(record.attempt + 1, self._candidates_of(group), scored, len(ranked))
        return ranked[0][2], decision

    def _take(self, head: QueueEntry) -> CandidateSet:
        """Remove the most urgent task of a candidate set. Returns the set."""
        group = head.group
        candidate_set = group.candidate_set
        assert candidate_set is not None
        candidate_set.take(head)
        head.record.queue_entry = None
        group.count -= 1
        self.count -= 1
        return candidate_set

    # ------------------------------------------------------------------ candidates

    def candidates_for(self, record: TaskRecord) -> Candidates:
        """The connected workers that can run a waiting task, and why the others can't."""
        return self._find_candidates(_entry_of(record).group)

    def has_candidates(self, record: TaskRecord) -> bool:
        """Whether a waiting task had candidates at the last `refresh`."""
        return _entry_of(record).group.candidate_set is not None

    def gives_up_at(self, record: TaskRecord) -> float | None:
        """When a waiting task fails because no worker can run it.

        Returns:
            The time in seconds, infinite for never; None if a worker can run it.
        """
        entry = _entry_of(record)
        since = entry.group.unmatched_since
        return None if since is None else max(since, entry.since) + self.unmatched_timeout.lasts_s

    def _add_group(self, key: Hashable, group: TaskGroup) -> TaskGroup:
        if len(self.groups) >= self._max_groups:
            self._is_stale = True
        self.groups[key] = group
        self._new_groups.append(group)
        return group

    def _drop_empty_groups(self) -> None:
        if len(self.groups) >= self._max_groups:
            self.groups = {key: group for key, group in self.groups.items() if group.count}
            self._max_groups = 2 * len(self.groups) + _EMPTY_GROUPS_KEPT

    def _find_able(self, group: TaskGroup) -> list[WorkerRecord]:
        return [worker for worker in self.workers if self._find_obstacle(group, worker) is None]

    def _assign_candidates(self, group: TaskGroup, able: list[WorkerRecord], now: float) -> None:
        """Add a group to the candidate set of the workers that can run it, if there are any."""
        group.candidates = None
        group.candidate_set = None
        chosen = frozenset(worker for worker in able if worker.name not in group.failed_by)
        workers = chosen or frozenset(able)
        if workers:
            group.unmatched_since = None
            candidate_set = self.candidate_sets.get(workers)
            if candidate_set is None:
                candidate_set = self.candidate_sets[workers] = CandidateSet(workers)
                for worker in workers:
                    self._candidate_sets_of[worker].append(candidate_set)
            candidate_set.add(group)
        elif not self.workers:
            group.unmatched_since = None
        elif group.unmatched_since is None:
            group.unmatched_since = now
            if group.count:
                self.unmatched_timeout.begin(now, group)

    def _candidates_of(self, group: TaskGroup) -> Candidates:
        if group.candidates is None:
            group.candidates = self._find_candidates(group)
        return group.candidates

    def _find_candidates(self, group: TaskGroup) -> Candidates:
        able: list[tuple[str, int]] = []
        unable: list[tuple[str, str]] = []
        for worker in sorted(self.workers, key=lambda worker: worker.order):
            obstacle = self._find_obstacle(group, worker) or describe_unavailability(worker)
            if obstacle is None:
                able.append((worker.name, worker.slots))
            else:
                unable.append((worker.name, obstacle))
        return Candidates.of(able, unable, group.failed_by)


def _entry_of(record: TaskRecord) -> QueueEntry:
    entry = record.queue_entry
    assert isinstance(entry, QueueEntry), f"task {record.task_id!r} is not waiting"
    return entry
