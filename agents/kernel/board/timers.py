"""When the board must be woken: a heap of things that know themselves when they are due."""

from __future__ import annotations

import heapq
from typing import Generic, Protocol, TypeVar

_SMALLEST_COMPACTION = 1_024


class Timer(Protocol):
    """Something that is due at some time, which may move later or vanish while it waits."""

    def due_at(self) -> float | None:
        """When it is due, in the board's seconds; None if no more."""
        ...


_AlarmT = TypeVar("_AlarmT", bound=Timer)


class TimerQueue(Generic[_AlarmT]):
    """A heap of alarms. Those that vanish are let lie until they come up, or outnumber the rest."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, _AlarmT]] = []
        self._set_so_far = 0
        self._compact_at = _SMALLEST_COMPACTION

    def set(self, alarm: _AlarmT) -> None:
        """Watch an alarm; call it again if its time has moved nearer, not if it has moved away."""
        at = alarm.due_at()
        if at is None:
            return
        self._set_so_far += 1
        heapq.heappush(self._heap, (at, self._set_so_far, alarm))
        if len(self._heap) > self._compact_at:
            self._compact()

    def clear(self) -> None:
        """Watch nothing any more."""
        self._heap.clear()

    def next_at(self) -> float | None:
        """When the earliest alarm is due, None if there is none."""
        heap = self._heap
        while heap:
            at, number, alarm = heap[0]
            due_at = alarm.due_at()
            if due_at is None:
                heapq.heappop(heap)
            elif due_at > at:
                heapq.heapreplace(heap, (due_at, number, alarm))
            else:
                return at
        return None

    def take(self, now: float) -> _AlarmT | None:
        """Take out the earliest alarm if it is due; it is watched no longer."""
        if not self._heap or self._heap[0][0] > now:
            return None
        at = self.next_at()
        if at is None or at > now:
            return None
        return heapq.heappop(self._heap)[2]

    def watched(self) -> list[_AlarmT]:
        """All alarms that are still due some time, in no order."""
        return [alarm for _, _, alarm in self._heap if alarm.due_at() is not None]

    def __len__(self) -> int:
        return len(self._heap)

    def _compact(self) -> None:
        self._heap = [each for each in self._heap if each[2].due_at() is not None]
        heapq.heapify(self._heap)
        self._compact_at = max(_SMALLEST_COMPACTION, 2 * len(self._heap))
