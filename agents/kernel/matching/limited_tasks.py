"""Counts the waiting tasks that limits hold back, and says which limits do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .gate import Gate
from .keyed_queue import KeyedQueue
from .task_queue import TaskQueue


def count_startable(queue: TaskQueue, now: float) -> int:
    """How many waiting tasks could begin now if there were workers, as far as limits go."""
    if queue.limiter is None or not queue.limiter.has_limits:
        return queue.count
    room: dict[Gate, int] = {}
    startable = 0
    for waiting, gates in _waiting_with_gates(queue):
        wanted = waiting
        for gate in gates:
            wanted = min(wanted, room.setdefault(gate, gate.room(now)))
        for gate in gates:
            room[gate] -= wanted
        startable += wanted
    return startable


def count_held_back(queue: TaskQueue, now: float) -> list[tuple[int, str]]:
    """How many waiting tasks each limit holds back, with what it waits for in words.

    Each task counts for the first of its limits; the limits of the most tasks are first.
    """
    if queue.limiter is None or not queue.limiter.has_limits:
        return []
    counts: dict[Gate, int] = {}
    for waiting, gates in _waiting_with_gates(queue):
        shut = next((gate for gate in gates if gate.is_shut), None)
        if shut is not None and waiting:
            counts[shut] = counts.get(shut, 0) + waiting
    held_back = [(count, gate.describe(now)) for gate, count in counts.items()]
    return sorted(held_back, key=lambda each: (-each[0], each[1]))


def describe_held_back(queue: TaskQueue, now: float) -> str:
    """Which limit holds back the most waiting tasks, as one line; "" if none does."""
    held_back = count_held_back(queue, now)
    if not held_back:
        return ""
    count, told = held_back[0]
    others = len(held_back) - 1
    more = f"; {others:,} more limit{'s' if others > 1 else ''}" if others else ""
    return f"{count:,} wait{'s' if count == 1 else ''} for a limit: {told}{more}"


def _waiting_with_gates(queue: TaskQueue) -> Iterator[tuple[int, tuple[Gate, ...]]]:
    limiter = queue.limiter
    overall: Iterable[Gate] = () if limiter is None or not limiter.overall else (limiter.overall,)
    for group in queue.groups.values():
        entries = group.entries
        if isinstance(entries, KeyedQueue):
            left = group.count
            for lane in entries.lanes:
                # Stale entries are counted, too: counting the others would take long.
                waiting = min(len(lane.tasks), left)
                left -= waiting
                yield waiting, (*overall, *entries.gates, *lane.gates)
