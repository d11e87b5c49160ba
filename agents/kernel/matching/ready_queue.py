"""The places of waiting tasks, so that the most urgent is found at once."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .task_queue import QueueEntry


class ReadyQueue:
    """Places, the smallest first: a heap, and beside it a row of those that came in order.

    Most come so, and cost a row nothing.

    Args:
        row: places that are in order.
    """

    __slots__ = ("_heap", "_row", "first")

    def __init__(self, row: Sequence[QueueEntry] = ()) -> None:
        # The first of all is the first of the one or of the other.
        self._row = deque(row)
        self._heap: list[QueueEntry] = []
        self.first: QueueEntry | None = row[0] if row else None
        """The smallest place; None if there is none."""

    def push(self, place: QueueEntry) -> None:
        """Add a place."""
        row = self._row
        if row and row[-1] < place:
            row.append(place)
            return
        if row:
            heapq.heappush(self._heap, place)
        else:
            row.append(place)
        if self.first is None or place < self.first:
            self.first = place

    def pop(self) -> None:
        """Take out the first place; there must be one."""
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

    def __iter__(self) -> Iterator[QueueEntry]:
        """All places, in no order."""
        yield from self._row
        yield from self._heap

    def __len__(self) -> int:
        return len(self._row) + len(self._heap)
