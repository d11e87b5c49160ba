"""Priority queues of waiting tasks: entries, groups of similar tasks, and candidate sets."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from ..model.decision import Candidates
from ..model.duration_estimate import DurationEstimate
from ..model.records import TaskRecord, WorkerRecord
from .eligibility import max_attempts_of, terms_of


class QueueEntry(NamedTuple):
    """A task's entry in the queue; it is stale once the record no longer points to it."""

    urgency: tuple[float, ...]
    sequence: int
    # Breaks ties between entries of one task, because records and groups have no order.
    stamp: int
    since: float
    record: TaskRecord
    group: TaskGroup


class ReadyQueue:
    """A priority queue of entries: a deque for those pushed in order, a heap for the others.

    Most entries are pushed in order, and a deque is much faster than a heap.

    Args:
        row: entries in ascending order.
    """

    __slots__ = ("_heap", "_row", "first")

    def __init__(self, row: Sequence[QueueEntry] = ()) -> None:
        self._row = deque(row)
        self._heap: list[QueueEntry] = []
        self.first: QueueEntry | None = row[0] if row else None
        """The smallest entry; None if there is none."""

    def push(self, entry: QueueEntry) -> None:
        """Add an entry."""
        row = self._row
        if row and row[-1] < entry:
            row.append(entry)
            return
        if row:
            heapq.heappush(self._heap, entry)
        else:
            row.append(entry)
        if self.first is None or entry < self.first:
            self.first = entry

    def pop(self) -> None:
        """Remove the first entry; there must be one."""
        row, heap = self._row, self._heap
        if not heap:
            row.popleft()
            self.first = row[0] if row else None
            return
        if row and row[0] is self.first:
            row.popleft()
        else:
            heapq.heappop(heap)
        if not row or (heap and heap[0] < row[0]):
            self.first = heap[0] if heap else None
        else:
            self.first = row[0]

    def renewed(self) -> ReadyQueue:
        """The queue without stale entries."""
        return ReadyQueue(sorted(each for each in self if each.record.queue_entry is each))

    def __iter__(self) -> Iterator[QueueEntry]:
        """All entries, in no order."""
        yield from self._row
        yield from self._heap

    def __len__(self) -> int:
        return len(self._row) + len(self._heap)


class EntryQueue(Protocol):
    """A priority queue of entries: a `ReadyQueue`, or a `KeyedQueue` where there are limits."""

    first: QueueEntry | None
    """The entry to take next; None if there is none."""

    def push(self, entry: QueueEntry) -> None:
        """Add an entry."""
        ...

    def pop(self) -> None:
        """Remove the first entry; there must be one."""
        ...

    def renewed(self) -> EntryQueue:
        """The queue without stale entries; this one must not be used any more."""
        ...

    def __iter__(self) -> Iterator[QueueEntry]:
        """All entries, in no order."""
        ...

    def __len__(self) -> int: ...


class TaskGroup:
    """The waiting tasks of one type and group that failed at the same workers.

    They also insist on the same. For learning policies it is the `WaitingHead` of its most urgent
    task.
    """

    __slots__ = (
        "able",
        "candidate_set",
        "candidates",
        "count",
        "duration",
        "entries",
        "failed_by",
        "kind",
        "level",
        "listed",
        "notes",
        "sample",
        "task",
        "terms",
        "unmatched_since",
        "waits_since",
    )

    def __init__(self, kind: Hashable, failed_by: frozenset[str], sample: TaskRecord) -> None:
        self.kind = kind
        self.failed_by = failed_by
        self.sample = sample.task
        self.terms = terms_of(sample)
        self.entries: EntryQueue = ReadyQueue()
        self.count = 0
        self.candidate_set: CandidateSet | None = None
        self.candidates: Candidates | None = None
        self.unmatched_since: float | None = None
        self.duration = DurationEstimate()
        # The following fields are for learning policies; `WaitingHeads` keeps them up to date.
        self.listed: QueueEntry | None = None
        self.task = sample.task
        self.able: frozenset[WorkerRecord] = frozenset()
        self.level = 0.0
        self.waits_since = 0.0
        self.notes: object = None

    @property
    def attempts_left(self) -> int:
        """How many attempts at its most urgent task are left, the next one included."""
        if self.listed is None:
            return 1
        record = self.listed.record
        return max(max_attempts_of(record) - record.failures, 1)

    def drop_stale(self) -> QueueEntry | None:
        """Remove stale entries before the first current one. Returns it; None if there is none."""
        entries = self.entries
        while (first := entries.first) is not None and first.record.queue_entry is not first:
            entries.pop()
        return first

    def current_entries(self) -> Iterator[QueueEntry]:
        """The entries that are not stale, in no order."""
        return (entry for entry in self.entries if entry.record.queue_entry is entry)


class CandidateSet:
    """The workers that may get the tasks of some groups, and a heap of these groups' heads."""

    __slots__ = ("groups", "heads", "workers")

    def __init__(self, workers: frozenset[WorkerRecord]) -> None:
        self.workers = workers
        self.groups: list[TaskGroup] = []
        self.heads: list[QueueEntry] = []

    def add(self, group: TaskGroup) -> None:
        """Add a group."""
        self.groups.append(group)
        group.candidate_set = self
        if group.entries.first is not None:
            self.push_head(group.entries.first)

    def push_head(self, head: QueueEntry) -> None:
        """Record the new head of a group."""
        heapq.heappush(self.heads, head)
        # Stale heads stay in the heap until they reach the top or outnumber the current ones.
        if len(self.heads) > 2 * len(self.groups) + 8:
            firsts = (group.entries.first for group in self.groups)
            self.heads = [first for first in firsts if first is not None]
            heapq.heapify(self.heads)

    def head(self) -> QueueEntry | None:
        """The most urgent task of all its groups."""
        while self.heads:
            entry = self.heads[0]
            if entry.group.entries.first is not entry:
                heapq.heappop(self.heads)
            elif entry.record.queue_entry is entry:
                return entry
            else:
                self.take(entry)
        return None

    def take(self, head: QueueEntry) -> None:
        """Remove the entry that `head` just returned."""
        entries = head.group.entries
        entries.pop()
        if entries.first is None:
            heapq.heappop(self.heads)
        else:
            heapq.heapreplace(self.heads, entries.first)


def entry_of(record: TaskRecord) -> QueueEntry:
    """The entry of a task that waits."""
    entry = record.queue_entry
    assert isinstance(entry, QueueEntry), f"task {record.task_id!r} is not waiting"
    return entry


def most_urgent(candidate_sets: Iterable[CandidateSet]) -> QueueEntry | None:
    """The most urgent entry of some candidate sets; None if they are empty."""
    best: QueueEntry | None = None
    for candidate_set in candidate_sets:
        entry = candidate_set.head() if candidate_set.heads else None
        if entry is not None and (best is None or entry < best):
            best = entry
    return best
