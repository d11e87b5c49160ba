"""The waiting tasks of one group by their keys: those whose turn it is, and whose limits allow it.

It takes the place of a `ReadyQueue` where tasks have keys or limits.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from .gate import Gate
from .ready_queue import QueueEntry, ReadyQueue, TaskGroup
from .turns import Share


class Lane:
    """The waiting tasks of one key and one level of priority in one group.

    Args:
        queue: the queue that it is part of.
        share: the place of its key in the turns.
        gates: the limits of its key.
    """

    __slots__ = ("gates", "head", "parked_at", "plain", "queue", "share", "tasks", "turn")

    def __init__(self, queue: KeyedQueue, share: Share, gates: Sequence[Gate]) -> None:
        self.queue = queue
        self.share = share
        self.gates = gates
        self.tasks = ReadyQueue()
        self.plain: QueueEntry | None = None
        """The entry of its first task as it was pushed."""
        self.head: QueueEntry | None = None
        """The same with the turn of its key as part of its urgency: the task's entry now."""
        self.turn = 0
        """The turn that is part of `head`."""
        self.parked_at: Gate | None = None
        """The gate that keeps it out of the queue until it opens."""

    def entries(self) -> Iterator[QueueEntry]:
        """The entries of its tasks, in no order; some may be stale."""
        for entry in self.tasks:
            if entry is self.plain and self.head is not None:
                yield self.head
            else:
                yield entry

    def shut_gate(self) -> Gate | None:
        """A limit of its key that allows no more tasks now; None if there is none."""
        return next((gate for gate in self.gates if gate.is_shut), None)


class LaneKeeper(Protocol):
    """What a keyed queue uses of the limiter."""

    def lane_for(self, queue: KeyedQueue, entry: QueueEntry) -> Lane:
        """A new lane for a task."""
        ...

    def name_lane(self, entry: QueueEntry) -> tuple[str, float]:
        """The key and the level of a task."""
        ...

    def rank(self, lane: Lane, entry: QueueEntry) -> tuple[float, ...]:
        """The urgency of a task with the turn of its key."""
        ...

    def drop_lane(self, lane: Lane) -> None:
        """Forget a lane without tasks."""
        ...


class KeyedQueue:
    """A priority queue of entries by keys; it has the methods of `ReadyQueue`.

    The first entry is that of the key whose turn it is. None is first while a limit of the whole
    group allows no more tasks.

    Args:
        group: the group of which it has the tasks.
        keeper: knows the turns and the limits of the keys.
        gates: the limits of the whole group.
    """

    __slots__ = ("_heads", "_keeper", "_lanes", "first", "first_lane", "gates", "group")

    def __init__(self, group: TaskGroup, keeper: LaneKeeper, gates: Sequence[Gate]) -> None:
        self.group = group
        self._keeper = keeper
        self.gates = gates
        self._lanes: dict[tuple[str, float], Lane] = {}
        # The heads of the lanes; stale ones stay until they reach the top.
        self._heads: list[tuple[QueueEntry, Lane]] = []
        self.first: QueueEntry | None = None
        """The entry whose turn it is; None if there is none, or limits allow none."""
        self.first_lane: Lane | None = None

    def push(self, entry: QueueEntry) -> None:
        """Add an entry."""
        name = self._keeper.name_lane(entry)
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = self._keeper.lane_for(self, entry)
        lane.tasks.push(entry)
        if lane.tasks.first is entry:
            self._show_first_of(lane)
            self.settle()

    def pop(self) -> None:
        """Remove the first entry; there must be one."""
        lane = self.first_lane
        assert lane is not None
        lane.tasks.pop()
        lane.plain = lane.head = None
        self._show_first_of(lane)
        self.settle()

    def settle(self) -> None:
        """Find the first entry, after a turn or a limit has changed."""
        self.first = self.first_lane = None
        if any(gate.is_shut for gate in self.gates):
            return
        while heads := self._heads:
            entry, lane = heads[0]
            if lane.head is not entry or lane.parked_at is not None:
                heapq.heappop(heads)
            elif (gate := lane.shut_gate()) is not None:
                heapq.heappop(heads)
                lane.parked_at = gate
                gate.parked[lane] = None
            elif lane.turn != lane.share.turn:
                heapq.heappop(heads)
                self._show_first_of(lane)
            else:
                self.first, self.first_lane = entry, lane
                return

    def release(self, lane: Lane) -> None:
        """Let a lane take part again, since the gate at which it was parked is open."""
        lane.parked_at = None
        self._show_first_of(lane)

    def renewed(self) -> KeyedQueue:
        """This queue without stale entries."""
        for lane in tuple(self._lanes.values()):
            _make_plain(lane)
            current = sorted(each for each in lane.tasks if each.record.queue_entry is each)
            lane.tasks = ReadyQueue(current)
            self._show_first_of(lane)
        self.settle()
        return self

    def take_all(self) -> list[QueueEntry]:
        """Remove and return all entries that are not stale, as they were pushed."""
        taken: list[QueueEntry] = []
        for lane in tuple(self._lanes.values()):
            _make_plain(lane)
            taken += [each for each in lane.tasks if each.record.queue_entry is each]
            self._drop(lane)
        self._heads.clear()
        self.first = self.first_lane = None
        return taken

    @property
    def lanes(self) -> Iterable[Lane]:
        """The lanes."""
        return self._lanes.values()

    def __iter__(self) -> Iterator[QueueEntry]:
        """All entries, in no order."""
        for lane in self._lanes.values():
            yield from lane.entries()

    def __len__(self) -> int:
        return sum(len(lane.tasks) for lane in self._lanes.values())

    def _show_first_of(self, lane: Lane) -> None:
        """Make the first task of a lane its head, with the turn of its key now."""
        _make_plain(lane)
        tasks = lane.tasks
        while (first := tasks.first) is not None and first.record.queue_entry is not first:
            tasks.pop()
        if first is None:
            self._drop(lane)
            return
        lane.plain = first
        lane.turn = lane.share.turn
        head = first._replace(urgency=self._keeper.rank(lane, first))
        first.record.queue_entry = lane.head = head
        if lane.parked_at is None:
            heapq.heappush(self._heads, (head, lane))
            if len(self._heads) > 2 * len(self._lanes) + 8:
                self._heads = [each for each in self._heads if each[1].head is each[0]]
                heapq.heapify(self._heads)

    def _drop(self, lane: Lane) -> None:
        del self._lanes[lane.share.key, lane.share.level]
        self._keeper.drop_lane(lane)


def _make_plain(lane: Lane) -> None:
    """Give the head of a lane its entry as it was pushed, if it still waits."""
    plain, head = lane.plain, lane.head
    if plain is not None and head is not None and plain.record.queue_entry is head:
        plain.record.queue_entry = plain
    lane.plain = lane.head = None
