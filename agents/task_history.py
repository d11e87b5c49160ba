"""What a worker did, as far back as it is kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import overload

from ..messages import TaskResult

MAX_RESULTS = 10_000
MAX_BYTES = 16 * 1024 * 1024
"""How many results are kept, and how many bytes of them as they were sent."""


class TaskHistory(Sequence[TaskResult]):
    """Results, the oldest first; the oldest give way, but the last one is always there.

    Args:
        max_results: how many there are at most, 1 or more.
        max_bytes: how long they may be together, encoded.
    """

    def __init__(self, max_results: int = MAX_RESULTS, max_bytes: int = MAX_BYTES) -> None:
        self._max_results = max_results
        self._max_bytes = max_bytes
        self._results: deque[TaskResult] = deque()
        self._sizes: deque[int] = deque()
        self._bytes = 0

    def add(self, result: TaskResult, size_bytes: int) -> None:
        """Add the newest.

        Args:
            result: the result.
            size_bytes: how long it is, encoded.
        """
        self._results.append(result)
        self._sizes.append(size_bytes)
        self._bytes += size_bytes
        while len(self._results) > 1 and (
            self._bytes > self._max_bytes or len(self._results) > self._max_results
        ):
            self._results.popleft()
            self._bytes -= self._sizes.popleft()

    @overload
    def __getitem__(self, index: int) -> TaskResult: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[TaskResult]: ...

    def __getitem__(self, index: int | slice) -> TaskResult | Sequence[TaskResult]:
        if isinstance(index, slice):
            return tuple(self._results)[index]
        return self._results[index]

    def __iter__(self) -> Iterator[TaskResult]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)
