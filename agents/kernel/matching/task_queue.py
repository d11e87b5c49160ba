"""The waiting tasks: selects the next task and its worker.

Tasks that the policy treats alike wait in one group, ordered by urgency. Groups that the same
workers can run share a candidate set, which has a heap of the groups' first tasks. So an assignment
reads only the heads of a few candidate sets. The queue goes through all groups only when a worker
joins or leaves.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping

from ....messages import TaskId
from ....messages.limit import Limit
from ..model.decision import Candidates, Decision
from ..model.named_tuples import make_named
from ..model.records import TaskRecord, WorkerRecord
from .addressed import AddressedPolicy
from .budget import Budget
from .eligibility import NO_TERMS, Eligibility, Shortfall, find_candidates, terms_of
from .learning_policy import Hold, LearningPolicy
from .limiter import Limiter
from .offers import Offers
from .paired_matches import PairedMatches
from .policies import MatchingPolicy, PairingPolicy
from .prefetched_matches import PrefetchedMatches
from .ready_queue import CandidateSet, QueueEntry, TaskGroup, entry_of, most_urgent
from .unmatched_timeout import UnmatchedTimeout
from .urgency import Urgency
from .waiting_queue import Match
from .worker_ranking import WorkerRanking, name_best

_EMPTY_GROUPS_KEPT = 1_000


class TaskQueue:
    """The waiting tasks and the connected workers.

    Args:
        policy: the matching policy.
        unmatched_after_s: the time after which a task fails that no connected worker can run, in
            seconds; None never.
        prefetch_s: the amount of work that a worker may prefetch per slot, in seconds.
        quarantine_after: the number of consecutive failures that start a worker's quarantine; None
            never.
        budget: the budget of the run; None for one without a limit.
    """

    def __init__(
        self,
        policy: MatchingPolicy,
        unmatched_after_s: float | None,
        prefetch_s: float = 0.0,
        quarantine_after: int | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.policy = policy
        self.budget = budget or Budget(None, "")
        self._is_committed = self.budget.is_committed
        self._is_spent = self.budget.is_spent
        self.pairs = PairedMatches(self, policy) if isinstance(policy, PairingPolicy) else None
        self.offers = Offers(self, policy) if isinstance(policy, LearningPolicy) else None
        self.prefetched = PrefetchedMatches(self, self.offers, prefetch_s, quarantine_after)
        self._quarantine_after = quarantine_after
        self.urgency = Urgency(policy)
        # Bounded by the tasks, by `max_workers`, and for groups by `_drop_empty_groups`.
        self.workers: dict[WorkerRecord, None] = {}
        self.free: set[WorkerRecord] = set()
        self.groups: dict[Hashable, TaskGroup] = {}
        self.candidate_sets: dict[frozenset[WorkerRecord], CandidateSet] = {}
        self.unmatched_timeout = UnmatchedTimeout(unmatched_after_s)
        self.candidate_sets_of: dict[WorkerRecord, list[CandidateSet]] = {}
        self._new_groups: list[TaskGroup] = []
        self._is_stale = False
        self._has_returning = False
        self._ranking = WorkerRanking()
        self._stamp = 0
        self._max_groups = _EMPTY_GROUPS_KEPT
        self.count = 0
        self.limiter: Limiter | None = None
        """The limits and the turns of keys; None until there is a limit or a task with a key."""
        self._weights: Mapping[str, float] = {}

    # ------------------------------------------------------------------ tasks

    def push(self, record: TaskRecord, now: float) -> None:
        """Add a task that waits for no other task."""
        task = record.task
        if task.limit_key is not None and self.limiter is None:
            self._begin_limiting(())
        terms = terms_of(record)
        kind: Hashable = (task.type, self.policy.group(task))
        avoided = record.failed_by
        if terms is not NO_TERMS:
            kind = (kind, terms)
            self._has_returning = self._has_returning or bool(terms.returns_to)
            if terms.restriction is not None:
                avoided = terms.restriction.avoided
        key = (kind, avoided)
        group = self.groups.get(key)
        if group is None:
            group = self._add_group(key, TaskGroup(kind, avoided, record))
        sequence = record.sequence if record.place is None else record.place
        self._stamp += 1
        urgency = self.urgency.of(self.policy, record)
        entry = make_named(QueueEntry, (urgency, sequence, self._stamp, now, record, group))
        record.queue_entry = entry
        group.count += 1
        self.count += 1
        group.entries.push(entry)
        if group.candidate_set is None:
            if group.unmatched_since is not None:
                self.unmatched_timeout.begin(now, entry)
        elif group.entries.first is record.queue_entry:
            self.show_head(group)

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
            group.entries = group.entries.renewed()
            self.show_head(group)
        if group.listed is entry and self.offers is not None:
            self.offers.waiting.update(group)

    def show_head(self, group: TaskGroup) -> None:
        """Show the new head of a group to whatever chooses among the groups."""
        if self.offers is not None:
            self.offers.waiting.update(group)
        elif group.candidate_set is not None and group.entries.first is not None:
            group.candidate_set.push_head(group.entries.first)

    def set_limits(self, limits: Iterable[Limit], weights: Mapping[str, float]) -> None:
        """Set the limits, and the weights of keys; what has begun is not counted."""
        self._weights = weights
        limits = tuple(limits)
        if limits or self.limiter is not None:
            self._begin_limiting(limits)

    def _begin_limiting(self, limits: Iterable[Limit]) -> None:
        self.limiter = Limiter(
            limits,
            self._weights,
            has_levels=self.urgency.puts_priority_first,
            show_head=self.show_head,
        )
        for group in self.groups.values():
            self.limiter.take_over(group)
            self.show_head(group)

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

    def take_unmatched(self, now: float) -> list[tuple[TaskRecord, Shortfall]]:
        """Remove and return the tasks whose unmatched timeout has expired, with the reasons."""
        self.refresh(now)
        reasons: dict[TaskGroup, Shortfall] = {}
        unmatched: list[tuple[TaskRecord, Shortfall]] = []
        for entry in self.unmatched_timeout.take(now):
            record, group = entry.record, entry.group
            if group not in reasons:
                reasons[group] = self.eligibility_for(group).shortfall(self.workers)
            self.remove(record)
            unmatched.append((record, reasons[group]))
        return unmatched

    # ------------------------------------------------------------------ workers

    def add_worker(self, worker: WorkerRecord) -> None:
        """Add a connected worker."""
        self.workers[worker] = None
        self._is_stale = True
        self.update_load(worker)
        if self.offers is not None:
            self.offers.forget_workers()

    def remove_worker(self, worker: WorkerRecord) -> None:
        """Remove a worker that is not connected any more."""
        del self.workers[worker]
        self.free.discard(worker)
        self.prefetched.update(worker, is_busy=False)
        self._is_stale = True
        if self.offers is not None:
            self.offers.forget_workers()

    def update_load(self, worker: WorkerRecord) -> None:
        """Update whether a worker is free, after its number of tasks has changed."""
        if self.is_free(worker):
            self.free.add(worker)
            self.prefetched.update(worker, is_busy=False)
        else:
            self.free.discard(worker)
            # What a prefetched task will cost is not known when the worker begins it.
            is_limited = self.budget.limit is not None and worker.is_paid
            self.prefetched.update(worker, is_busy=not is_limited)

    def is_free(self, worker: WorkerRecord) -> bool:
        """Whether a worker may get a task now."""
        return worker.is_free and not self.is_held_back(worker) and not self.is_too_dear(worker)

    def is_too_dear(self, worker: WorkerRecord) -> bool:
        """Whether a worker gets no more tasks for now, because nothing of the budget is left."""
        return self._is_committed and worker.is_paid

    def is_held_back(self, worker: WorkerRecord) -> bool:
        """Whether a worker gets no more tasks for now, because it is close to its quarantine.

        It has failed, and its quarantine would begin if all its running tasks failed too.
        """
        limit, failures = self._quarantine_after, worker.failures_in_a_row
        running = len(worker.running)
        # A worker that runs nothing is never held back: nothing would end that. It may have failed
        # too often while it was away, such as by a rejection.
        return limit is not None and failures > 0 and running > 0 and failures + running >= limit

    def update_availability(self, worker: WorkerRecord) -> None:
        """Update a worker that entered or left quarantine, or is retiring."""
        self.update_load(worker)
        if self.offers is not None:
            self.offers.forget_workers()
        self._is_stale = self._is_stale or self._has_returning
        # Else the candidate sets do not change, but explanations describe this worker differently.
        for group in self.groups.values():
            group.candidates = None

    def set_thrift(self, thrift: float) -> None:
        """Set how much of a success one unit of cost is worth to a learning policy."""
        if self.offers is not None:
            self.offers.thrift = thrift

    def follow_budget(self, *, has_new_costs: bool = False) -> None:
        """Update which workers may get tasks, after the budget has changed.

        Args:
            has_new_costs: whether a worker turned out to cost something.
        """
        budget = self.budget
        is_committed, is_spent = budget.is_committed, budget.is_spent
        if is_committed is not self._is_committed or (has_new_costs and is_committed):
            self._is_committed = is_committed
            self._is_stale = self._is_stale or self._has_returning
            for worker in self.workers:
                if worker.is_paid:
                    self.update_load(worker)
            self._ranking.reset()
            if self.offers is not None:
                self.offers.begin()
        if is_spent is not self._is_spent or (has_new_costs and is_spent):
            self._is_spent = is_spent
            self._is_stale = True

    # ------------------------------------------------------------------ matching

    def refresh(self, now: float) -> None:
        """Compute the candidate sets again if they may have changed."""
        self._ranking.reset()
        if self.offers is not None:
            self.offers.begin()
        if self._is_stale:
            self._is_stale = False
            self.candidate_sets.clear()
            self.candidate_sets_of = {worker: [] for worker in self.workers}
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
                able = able_for[group.kind] = self.eligibility_for(group).able(self.workers)
            self._assign_candidates(group, able, now)
        if self.offers is not None:
            self.offers.waiting.rebuild(self.groups.values(), waiting)

    def next_match(self, now: float) -> Match | None:
        """Remove and return the next task to assign with its worker; call `refresh` first."""
        free = self.free
        if not self.count or not free:
            return None
        if self.offers is not None:
            return self.offers.next_match(now)
        several = len(free) > 1
        best = most_urgent(
            (
                candidate_set
                for candidate_set in self.candidate_sets.values()
                if not candidate_set.workers.isdisjoint(free)
            )
            if several
            else self.candidate_sets_of[next(iter(free))]
        )
        if best is None:
            return None
        record, group = best.record, best.group
        ranked = self._ranking.rank(self.policy, record, group, self.take(best), free)
        scored = name_best(ranked)
        decision = Decision(record.attempt + 1, self.candidates_of(group), scored, len(ranked))
        return record, ranked[0][2], decision, group.duration

    def has_free_for(self, record: TaskRecord) -> bool:
        """Whether a worker with a free slot can run a task and has not failed it."""
        eligibility = self.eligibility_of(record)
        return any(
            worker.name not in record.failed_by
            and eligibility.may_get(worker, self.workers)
            and (self.offers is None or self.offers.policy.suits(record.task, worker))
            for worker in self.free
        )

    def take(self, head: QueueEntry) -> CandidateSet:
        """Remove the most urgent task of a candidate set. Returns the set."""
        group = head.group
        candidate_set = group.candidate_set
        assert candidate_set is not None
        if self.limiter is not None:
            self.limiter.serve(head)
        if self.offers is None:
            candidate_set.take(head)
        head.record.queue_entry = None
        group.count -= 1
        self.count -= 1
        if self.offers is not None:
            self.offers.waiting.update(group)
        return candidate_set

    # ------------------------------------------------------------------ candidates

    def eligibility_for(self, group: TaskGroup) -> Eligibility:
        """Which workers may get the tasks of a group."""
        return Eligibility(self.policy, group.sample, group.terms, self.budget)

    def eligibility_of(self, record: TaskRecord) -> Eligibility:
        """Which workers may get a task, whether it waits or not."""
        return Eligibility(self.policy, record.task, terms_of(record), self.budget)

    def hold(self, record: TaskRecord, now: float) -> Hold | None:
        """Why a learning policy holds a waiting task back, if it does."""
        group = entry_of(record).group
        if self.offers is None or group.listed is None:
            return None
        return self.offers.policy.hold(group, now)

    def gives_up_at(self, record: TaskRecord) -> float | None:
        """When a waiting task fails because no worker can run it.

        Returns:
            The time in seconds, infinite for never; None if a worker can run it.
        """
        entry = entry_of(record)
        since = entry.group.unmatched_since
        return None if since is None else self.unmatched_timeout.ends_at(max(since, entry.since))

    def _add_group(self, key: Hashable, group: TaskGroup) -> TaskGroup:
        if len(self.groups) >= self._max_groups:
            self._is_stale = True
        self.groups[key] = group
        self._new_groups.append(group)
        if self.limiter is not None:
            self.limiter.take_over(group)
        return group

    def _drop_empty_groups(self) -> None:
        if len(self.groups) >= self._max_groups:
            if self.limiter is not None:
                self.limiter.drop(group for group in self.groups.values() if not group.count)
            self.groups = {key: group for key, group in self.groups.items() if group.count}
            self._max_groups = 2 * len(self.groups) + _EMPTY_GROUPS_KEPT

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
                    self.candidate_sets_of[worker].append(candidate_set)
            candidate_set.add(group)
        elif not self.workers:
            group.unmatched_since = None
        elif group.unmatched_since is None:
            group.unmatched_since = now
            if group.count:
                self.unmatched_timeout.begin(now, group)

    def candidates_of(self, group: TaskGroup) -> Candidates:
        """The connected workers that can run the tasks of a group, and why the others can't."""
        if group.candidates is None:
            group.candidates = find_candidates(
                self.eligibility_for(group), self.workers, group.failed_by
            )
        return group.candidates
