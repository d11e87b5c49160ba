"""The waiting tasks, and who of the free workers gets which of them.

Tasks that are alike to the policy wait in one bucket, in a line by urgency. Buckets that the same
workers can do form a crew, with a heap of the buckets' heads. So an assignment looks at the heads
of a few crews, never at the tasks behind them; only a worker's coming or going looks at every
bucket.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from ....messages import Task, TaskId
from ..model.duration_estimate import DurationEstimate
from ..model.records import TaskRecord, WorkerRecord
from .addressed import AddressedPolicy
from .explanation import MAX_NAMED, Candidates, Decision
from .policies import (
    MatchingPolicy,
    PairingPolicy,
    describe_standing,
    find_obstacle,
    recovery_score,
)
from .ready_queue import ReadyQueue

_EMPTY_BUCKETS_KEPT = 1_000
_PAIRED_AT_ONCE = 1_000
"""How many waiting tasks a pairing policy is shown: it is asked often."""

_LOOKED_AT = 2 * MAX_NAMED - 1
"""Of the free workers that can do a task, how many are looked at to name the best of them."""


class QueueEntry(NamedTuple):
    """A task's place in the queue. It is given up when the record no longer points to it."""

    urgency: tuple[float, ...]
    sequence: int
    # Tells places of one task apart, since records and buckets have no order.
    stamp: int
    since: float
    record: TaskRecord
    bucket: TaskGroup


Match: TypeAlias = tuple[TaskRecord, WorkerRecord, Decision, DurationEstimate]
"""A task, the worker it goes to, why it goes there, and how long such tasks take."""


class TaskGroup:
    """Waiting tasks of one type and group that failed at the same workers."""

    __slots__ = (
        "avoided",
        "count",
        "crew",
        "kind",
        "lineup",
        "places",
        "sample",
        "unmatched_since",
        "usual",
    )

    def __init__(self, kind: Hashable, avoided: frozenset[str], sample: TaskRecord) -> None:
        self.kind = kind
        self.avoided = avoided
        self.sample = sample.task
        self.places = ReadyQueue()
        self.count = 0
        self.crew: CandidateSet | None = None
        self.lineup: Candidates | None = None
        self.unmatched_since: float | None = None
        self.usual = DurationEstimate()

    def living(self) -> Iterator[QueueEntry]:
        """The places that are not given up, in no order."""
        return (place for place in self.places if place.record.place is place)


class CandidateSet:
    """The workers that get the tasks of some buckets, and the heads of these buckets."""

    __slots__ = ("buckets", "heads", "workers")

    def __init__(self, workers: frozenset[WorkerRecord]) -> None:
        self.workers = workers
        self.buckets: list[TaskGroup] = []
        self.heads: list[QueueEntry] = []

    def add(self, bucket: TaskGroup) -> None:
        """Take charge of a bucket."""
        self.buckets.append(bucket)
        bucket.crew = self
        if bucket.places.first is not None:
            self.put_forward(bucket.places.first)

    def put_forward(self, head: QueueEntry) -> None:
        """Note the new head of a bucket."""
        heapq.heappush(self.heads, head)
        # Heads that were overtaken stay until they come up, unless they outnumber the others.
        if len(self.heads) > 2 * len(self.buckets) + 8:
            firsts = (bucket.places.first for bucket in self.buckets)
            self.heads = [first for first in firsts if first is not None]
            heapq.heapify(self.heads)

    def head(self) -> QueueEntry | None:
        """The most urgent task of all its buckets."""
        while self.heads:
            place = self.heads[0]
            if place.bucket.places.first is not place:
                heapq.heappop(self.heads)
            elif place.record.place is place:
                return place
            else:
                self.take(place)
        return None

    def take(self, head: QueueEntry) -> None:
        """Take out the task that `head` just told of."""
        places = head.bucket.places
        places.pop()
        if places.first is None:
            heapq.heappop(self.heads)
        else:
            heapq.heapreplace(self.heads, places.first)


class TaskQueue:
    """The waiting tasks and the connected workers.

    Args:
        policy: who gets which task.
        patience_s: how long a task waits, in seconds, that no connected worker can do; None for
            ever.
        prefetch_s: how much work, in seconds, a worker may hold beyond each of its slots.
        quarantine_after: how many failures in a row begin a worker's quarantine; None never.
    """

    def __init__(
        self,
        policy: MatchingPolicy,
        patience_s: float | None,
        prefetch_s: float = 0.0,
        quarantine_after: int | None = None,
    ) -> None:
        self.policy = policy
        self.pairs = policy.pair if isinstance(policy, PairingPolicy) else None
        self._prefetch_s = prefetch_s
        self._quarantine_after = quarantine_after
        # Bounded by the tasks, the link's members, and for buckets by `_forget_empty_buckets`.
        self.workers: dict[WorkerRecord, None] = {}
        self.free: set[WorkerRecord] = set()
        # Those whose slots are taken, and who may be sent some more ahead.
        self._hungry: set[WorkerRecord] = set()
        self.buckets: dict[Hashable, TaskGroup] = {}
        self.crews: dict[frozenset[WorkerRecord], CandidateSet] = {}
        self.patience = UnmatchedTimeout(math.inf if patience_s is None else patience_s)
        self._crews_of: dict[WorkerRecord, list[CandidateSet]] = {}
        self._unplaced: list[TaskGroup] = []
        self._is_stale = False
        # The free workers that can do the tasks of a bucket, as a heap, the best first. It holds
        # from one match to the next: until `refresh`, only whom it gave a task changes.
        self._ranked_for: TaskGroup | None = None
        self._ranked: list[tuple[float, int, WorkerRecord]] = []
        self._stamp = 0
        self._buckets_at_most = _EMPTY_BUCKETS_KEPT
        self.count = 0

    # ------------------------------------------------------------------ tasks

    def push(self, record: TaskRecord, now: float) -> None:
        """Let a task wait that waits for no other."""
        task = record.task
        kind = (task.type, self.policy.group(task))
        key = (kind, record.failed_by)
        bucket = self.buckets.get(key)
        if bucket is None:
            bucket = self._open_bucket(key, TaskGroup(kind, record.failed_by, record))
        sequence = record.sequence
        self._stamp += 1
        urgency = self.policy.urgency(task, sequence)
        place = QueueEntry(urgency, sequence, self._stamp, now, record, bucket)
        record.place = place
        bucket.count += 1
        self.count += 1
        places = bucket.places
        places.push(place)
        if bucket.crew is None:
            if bucket.unmatched_since is not None:
                self.patience.begin(now, place)
        elif places.first is place:
            bucket.crew.put_forward(place)

    def remove(self, place: QueueEntry) -> None:
        """Let a task wait no more."""
        place.record.place = None
        self.count -= 1
        bucket = place.bucket
        bucket.count -= 1
        if len(bucket.places) > 2 * bucket.count + 8:
            bucket.places = ReadyQueue(sorted(bucket.living()))
            first = bucket.places.first
            if bucket.crew is not None and first is not None:
                bucket.crew.put_forward(first)

    def address(self, record: TaskRecord, worker: str, now: float) -> None:
        """Let only one worker have a task."""
        if not isinstance(self.policy, AddressedPolicy):
            self.policy = AddressedPolicy(self.policy)
        self.policy.addressees[record.task_id] = worker
        if record.place is not None:
            self.remove(record.place)
            self.push(record, now)

    def forget(self, task_id: TaskId) -> None:
        """Keep nothing of a task that is forgotten."""
        if isinstance(self.policy, AddressedPolicy):
            self.policy.addressees.pop(task_id, None)

    # ------------------------------------------------------------------ workers

    def admit(self, worker: WorkerRecord) -> None:
        """Count a worker among those connected."""
        self.workers[worker] = None
        self._is_stale = True
        self.note_load(worker)

    def dismiss(self, worker: WorkerRecord) -> None:
        """Count a worker no more."""
        del self.workers[worker]
        self.free.discard(worker)
        self._hungry.discard(worker)
        self._is_stale = True

    def note_load(self, worker: WorkerRecord) -> None:
        """Note that what a worker holds has become more or less."""
        if self.is_free(worker):
            self.free.add(worker)
            self._hungry.discard(worker)
            return
        self.free.discard(worker)
        if self._prefetch_s:
            if worker.room_ahead_s(self._prefetch_s) > 0:
                self._hungry.add(worker)
            else:
                self._hungry.discard(worker)

    def is_free(self, worker: WorkerRecord) -> bool:
        """Whether a worker may be given a task right now."""
        return worker.is_free and not self.is_held_back(worker)

    def is_held_back(self, worker: WorkerRecord) -> bool:
        """Whether a worker has failed, and its quarantine begins if all that it runs fails too."""
        limit, failures = self._quarantine_after, worker.failures_in_a_row
        return limit is not None and failures > 0 and failures + len(worker.running) >= limit

    def note_standing(self, worker: WorkerRecord) -> None:
        """Note that a worker is given tasks no longer, or again, though it stays connected."""
        self.note_load(worker)
        # Who can do what stays as it is, but what is told of it does not.
        for bucket in self.buckets.values():
            bucket.lineup = None

    # ------------------------------------------------------------------ matching

    def refresh(self, now: float) -> None:
        """Work out anew who can do what, if that may have changed."""
        self._ranked_for = None
        if self._is_stale:
            self._is_stale = False
            self.crews.clear()
            self._crews_of = {worker: [] for worker in self.workers}
            self._unplaced.clear()
            self._forget_empty_buckets()
            waiting = list(self.buckets.values())
        elif self._unplaced:
            waiting, self._unplaced = self._unplaced, []
        else:
            return
        able_for: dict[Hashable, list[WorkerRecord]] = {}
        for bucket in waiting:
            able = able_for.get(bucket.kind)
            if able is None:
                able = able_for[bucket.kind] = self._find_able(bucket)
            self._place(bucket, able, now)

    def next_match(self) -> Match | None:
        """Take out the most urgent task that a free worker can do; `refresh` comes first."""
        free = self.free
        if not self.count or not free:
            return None
        several = len(free) > 1
        best = _most_urgent(
            (crew for crew in self.crews.values() if not crew.workers.isdisjoint(free))
            if several
            else self._crews_of[next(iter(free))]
        )
        if best is None:
            return None
        crew = self._take(best)
        record, bucket = best.record, best.bucket
        worker, decision = self._choose(record, bucket, crew)
        return record, worker, decision, bucket.usual

    def paired(self, now: float) -> Iterator[Match]:
        """Take out the tasks that a pairing policy gives to free workers; `refresh` comes first.

        Whoever takes a match assigns it before taking the next.
        """
        assert self.pairs is not None
        if not self.count or not self.free:
            return
        crewed = [bucket for bucket in self.buckets.values() if bucket.count and bucket.crew]
        places = heapq.nsmallest(
            _PAIRED_AT_ONCE, (place for bucket in crewed for place in bucket.living())
        )
        waiting = {place.record.task_id: place for place in places}
        free = sorted(self.free, key=lambda worker: worker.order)
        has_paired = False
        for worker, task in [*self._addressed(waiting, free), *self._pair(waiting, free)]:
            place = waiting.get(task.id)
            if place is None or place.record.place is not place or worker not in self.free:
                continue
            record, bucket = place.record, place.bucket
            if find_obstacle(self.policy, record.task, worker) is not None:
                continue
            has_paired = True
            self.remove(place)
            decision = Decision(record.attempt + 1, self._lineup(bucket), ((worker.name, 0.0),), 1)
            yield record, worker, decision, bucket.usual
        is_busy = has_paired or any(worker.taken for worker in self.workers)
        for bucket in crewed:
            if is_busy:
                bucket.unmatched_since = None
            elif bucket.unmatched_since is None:
                # Nothing will happen by itself: so it is as if nobody could do them.
                bucket.unmatched_since = now
                self.patience.begin(now, bucket)

    def _pair(
        self, waiting: Mapping[TaskId, QueueEntry], free: Sequence[WorkerRecord]
    ) -> Iterable[tuple[WorkerRecord, Task]]:
        assert self.pairs is not None
        return self.pairs([place.record.task for place in waiting.values()], free)

    def _addressed(
        self, waiting: Mapping[TaskId, QueueEntry], free: Sequence[WorkerRecord]
    ) -> Iterable[tuple[WorkerRecord, Task]]:
        if not isinstance(self.policy, AddressedPolicy):
            return []
        by_name = {worker.name: worker for worker in free}
        meant = self.policy.addressees
        return [
            (by_name[meant[task_id]], place.record.task)
            for task_id, place in waiting.items()
            if task_id in meant and meant[task_id] in by_name
        ]

    def take_ahead(self) -> list[Match]:
        """Take out the tasks that go ahead of free slots; `next_match` comes first.

        In the order of their urgency: where the most urgent is not short, none goes.
        """
        matches: list[Match] = []
        if not self.count or not self._hungry:
            return matches
        # The least provided first, and nobody so much that others get less.
        hungry = sorted(self._hungry, key=lambda each: (each.ahead_s / each.slots, each.order))
        share = math.ceil(self.count / len(hungry))
        for worker in hungry:
            self._provide(worker, share, matches)
        return matches

    def _provide(self, worker: WorkerRecord, share: int, matches: list[Match]) -> None:
        room_s = worker.room_ahead_s(self._prefetch_s)
        held = len(worker.ahead)
        most = min(held + share, worker.most_ahead(self._quarantine_after))
        crews = self._crews_of[worker]
        sampled: TaskGroup | None = None
        scored: tuple[tuple[str, float], ...] = ()
        decision: Decision | None = None
        while held < most:
            best = _most_urgent(crews)
            if best is None:
                return
            record, bucket = best.record, best.bucket
            usual, number = bucket.usual, len(record.attempts) + 1
            # What has failed before waits for whom it suits.
            if bucket.avoided or not usual.may_go_ahead(held) or usual.usual_s > room_s:
                return
            self._take(best)
            if bucket is not sampled:
                sampled, decision = bucket, None
                scored = ((worker.name, self.policy.score(record.task, worker)),)
            if decision is None or decision.attempt != number:
                decision = Decision(number, self._lineup(bucket), scored, 1)
            matches.append((record, worker, decision, usual))
            room_s -= usual.usual_s
            held += 1

    def has_free_for(self, record: TaskRecord) -> bool:
        """Whether a worker has a free slot that could do a task and has not failed it."""
        return any(
            worker.name not in record.failed_by
            and find_obstacle(self.policy, record.task, worker) is None
            for worker in self.free
        )

    def _choose(
        self, record: TaskRecord, bucket: TaskGroup, crew: CandidateSet
    ) -> tuple[WorkerRecord, Decision]:
        ranked = self._ranked
        if self._ranked_for is not bucket:
            self._ranked_for = bucket
            free = self.free & crew.workers
            ranked = self._ranked = [self._rank(record, bucket, worker) for worker in free]
            heapq.heapify(ranked)
        elif ranked[0][2] in self.free:
            # Whoever got the last task has become another; the others are as they were.
            heapq.heapreplace(ranked, self._rank(record, bucket, ranked[0][2]))
        else:
            heapq.heappop(ranked)
        # The first of a heap are not the best in order, but the best few are among them.
        first = sorted(ranked[:_LOOKED_AT])[:MAX_NAMED] if len(ranked) > 1 else ranked
        named = tuple([(worker.name, -score) for score, _, worker in first])
        decision = Decision(record.attempt + 1, self._lineup(bucket), named, len(ranked))
        return ranked[0][2], decision

    def _rank(
        self, record: TaskRecord, bucket: TaskGroup, worker: WorkerRecord
    ) -> tuple[float, int, WorkerRecord]:
        if bucket.avoided:
            return -recovery_score(worker), worker.order, worker
        return -self.policy.score(record.task, worker), worker.order, worker

    def _take(self, head: QueueEntry) -> CandidateSet:
        """Take out the most urgent task of a crew; the crew."""
        bucket = head.bucket
        crew = bucket.crew
        assert crew is not None
        crew.take(head)
        head.record.place = None
        bucket.count -= 1
        self.count -= 1
        return crew

    # ------------------------------------------------------------------ who can do what

    def lineup_of(self, place: QueueEntry) -> Candidates:
        """Who of the connected workers can do a waiting task, and why not the others."""
        return self._line_up(place.bucket)

    def gives_up_at(self, place: QueueEntry) -> float | None:
        """When a task fails that nobody can do, infinite if never; None if somebody can."""
        since = place.bucket.unmatched_since
        return None if since is None else max(since, place.since) + self.patience.lasts_s

    def _open_bucket(self, key: Hashable, bucket: TaskGroup) -> TaskGroup:
        if len(self.buckets) >= self._buckets_at_most:
            self._is_stale = True
        self.buckets[key] = bucket
        self._unplaced.append(bucket)
        return bucket

    def _forget_empty_buckets(self) -> None:
        if len(self.buckets) >= self._buckets_at_most:
            self.buckets = {key: bucket for key, bucket in self.buckets.items() if bucket.count}
            self._buckets_at_most = 2 * len(self.buckets) + _EMPTY_BUCKETS_KEPT

    def _find_able(self, bucket: TaskGroup) -> list[WorkerRecord]:
        policy, task = self.policy, bucket.sample
        return [worker for worker in self.workers if find_obstacle(policy, task, worker) is None]

    def _place(self, bucket: TaskGroup, able: list[WorkerRecord], now: float) -> None:
        """Give a bucket to the crew of those who can do it, if there are any."""
        bucket.lineup = None
        bucket.crew = None
        chosen = frozenset(worker for worker in able if worker.name not in bucket.avoided)
        workers = chosen or frozenset(able)
        if workers:
            bucket.unmatched_since = None
            crew = self.crews.get(workers)
            if crew is None:
                crew = self.crews[workers] = CandidateSet(workers)
                for worker in workers:
                    self._crews_of[worker].append(crew)
            crew.add(bucket)
        elif not self.workers:
            bucket.unmatched_since = None
        elif bucket.unmatched_since is None:
            bucket.unmatched_since = now
            if bucket.count:
                self.patience.begin(now, bucket)

    def _lineup(self, bucket: TaskGroup) -> Candidates:
        if bucket.lineup is None:
            bucket.lineup = self._line_up(bucket)
        return bucket.lineup

    def _line_up(self, bucket: TaskGroup) -> Candidates:
        able: list[tuple[str, int]] = []
        unable: list[tuple[str, str]] = []
        for worker in sorted(self.workers, key=lambda worker: worker.order):
            obstacle = find_obstacle(self.policy, bucket.sample, worker)
            obstacle = obstacle or describe_standing(worker)
            if obstacle is None:
                able.append((worker.name, worker.slots))
            else:
                unable.append((worker.name, obstacle))
        return Candidates.of(able, unable, bucket.avoided)


def _most_urgent(crews: Iterable[CandidateSet]) -> QueueEntry | None:
    """The most urgent task of some crews."""
    best: QueueEntry | None = None
    for crew in crews:
        place = crew.head() if crew.heads else None
        if place is not None and (best is None or place < best):
            best = place
    return best


class UnmatchedTimeout:
    """When tasks that nobody can do fail. All wait equally long, so the first to wait is first.

    Args:
        lasts_s: how long a task waits, in seconds; infinite for ever.
    """

    def __init__(self, lasts_s: float) -> None:
        self.lasts_s = lasts_s
        # Bounded by the tasks and by the workers' comings and goings while it lasts.
        self._begun: deque[tuple[float, TaskGroup | QueueEntry]] = deque()

    def begin(self, now: float, waiting: TaskGroup | QueueEntry) -> None:
        """Have a task's patience begin, or that of all that wait in a bucket."""
        if self.lasts_s < math.inf:
            self._begun.append((now, waiting))

    def due_at(self) -> float | None:
        """When the next patience ends."""
        while self._begun:
            since, waiting = self._begun[0]
            if _still_waits(since, waiting):
                return since + self.lasts_s
            self._begun.popleft()
        return None

    def take(self, now: float) -> list[QueueEntry]:
        """The places of tasks whose patience has ended, in the order of their adding."""
        over: dict[int, QueueEntry] = {}
        while (due_at := self.due_at()) is not None and due_at <= now:
            since, waiting = self._begun.popleft()
            places = (waiting,) if isinstance(waiting, QueueEntry) else waiting.living()
            over.update((place.sequence, place) for place in places if place.since <= since)
        return [over[sequence] for sequence in sorted(over)]


def _still_waits(since: float, waiting: TaskGroup | QueueEntry) -> bool:
    if isinstance(waiting, QueueEntry):
        unmatched_since = waiting.bucket.unmatched_since
        # A patience begun anew for the whole bucket stands for this one.
        is_current = unmatched_since is not None and unmatched_since <= since
        return is_current and waiting.record.place is waiting
    return waiting.unmatched_since == since and waiting.count > 0
