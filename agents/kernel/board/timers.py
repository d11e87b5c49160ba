"""A timer queue: a heap of objects that have a due time."""

from __future__ import annotations

import heapq
from typing import Generic, Protocol, TypeVar

_SMALLEST_COMPACTION = 1_024


class Timer(Protocol):
    """An object with a due time, which may become later, or None, while the timer is set."""

    def due_at(self) -> float | None:
        """When it is due, in seconds of the board's time; None for never."""
        ...


_TimerT = TypeVar("_TimerT", bound=Timer)


class TimerQueue(Generic[_TimerT]):
    """A heap of timers. Timers that are no longer due stay in it until they reach the top.

    If they outnumber the others, they are removed.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, _TimerT]] = []
        self._set_so_far = 0
        self._compact_at = _SMALLEST_COMPACTION

    def set(self, timer: _TimerT) -> None:
        """Add a timer. Call it again if the timer becomes due earlier, not if later."""
        at = timer.due_at()
        if at is None:
            return
        self._set_so_far += 1
        heapq.heappush(self._heap, (at, self._set_so_far, timer))
        if len(self._heap) > self._compact_at:
            self._compact()

    def clear(self) -> None:
        """Remove all timers."""
        self._heap.clear()

    def next_at(self) -> float | None:
        """When the earliest timer is due, None if there is none."""
        heap = self._heap
        while heap:
            at, number, timer = heap[0]
            due_at = timer.due_at()
            if due_at is None:
                heapq.heappop(heap)
            elif due_at > at:
                heapq.heapreplace(heap, (due_at, number, timer))
            else:
                return at
        return None

    def take(self, now: float) -> _TimerT | None:
        """Remove and return the earliest timer if it is due; else None."""
        if not self._heap or self._heap[0][0] > now:
            return None
        at = self.next_at()
        if at is None or at > now:
            return None
        return heapq.heappop(self._heap)[2]

    def watched(self) -> list[_TimerT]:
        """All timers that are still due, in no particular order."""
        return [timer for _, _, timer in self._heap if timer.due_at() is not None]

    def __len__(self) -> int:
        return len(self._heap)

    def _compact(self) -> None:
        self._heap = [each for each in self._heap if each[2].due_at() is not None]
        heapq.heapify(self._heap)
        self._compact_at = max(_SMALLEST_COMPACTION, 2 * len(self._heap))
