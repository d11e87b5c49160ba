"""The latest results of a worker, bounded in number and size."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, MutableSequence
from typing import NamedTuple, cast, overload

from ...messages import EncodeError, InvalidInput, TaskId, TaskResult, encode_message

MAX_RESULTS = 10_000
MAX_BYTES = 16 * 1024 * 1024
"""How many results are kept at most, and how many bytes of them as they were encoded."""


class _Entry(NamedTuple):
    result: TaskResult
    size_bytes: int


class TaskHistory(MutableSequence[TaskResult]):
    """A list of results, the oldest first. The oldest are dropped, but never the last one.

    The worker adds each result. A handler may have appended its own result just before; the
    worker's then replaces it.

    Args:
        results: the results to begin with.
        max_results: the largest number of results, 1 or more.
        max_bytes: the largest total size of the encoded results.
    """

    def __init__(
        self,
        results: Iterable[TaskResult] = (),
        *,
        max_results: int = MAX_RESULTS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._max_results = max_results
        self._max_bytes = max_bytes
        self._entries: deque[_Entry] = deque()
        self._bytes = 0
        # What handlers have appended, by task, until the worker adds its own result.
        self._appended: dict[TaskId, TaskResult] = {}
        for each in results:
            self._put(_Entry(each, _size_of(each)))

    def add(self, result: TaskResult, size_bytes: int) -> None:
        """Add the newest result; it replaces the one that a handler has appended for the task.

        Args:
            result: the result.
            size_bytes: its encoded size.
        """
        if self._appended:
            appended = self._appended.pop(result.task_id, None)
            if appended is not None:
                self._rebuild(each for each in self._entries if each.result is not appended)
        self._put(_Entry(result, size_bytes))

    def insert(self, index: int, value: TaskResult) -> None:
        """Insert a result, unless it is there already; `append` uses this as well.

        Raises:
            InvalidInput: it is no `TaskResult`.
        """
        entry = _Entry(value, _size_of(value))
        if self._holds(value):
            return
        if index >= len(self):
            self._put(entry)
        else:
            self._entries.insert(index, entry)
            self._rebuild(self._entries)
        self._appended[value.task_id] = value

    @overload
    def __getitem__(self, index: int) -> TaskResult: ...

    @overload
    def __getitem__(self, index: slice) -> list[TaskResult]: ...

    def __getitem__(self, index: int | slice) -> TaskResult | list[TaskResult]:
        if isinstance(index, slice):
            return list(self)[index]
        return self._entries[index].result

    @overload
    def __setitem__(self, index: int, value: TaskResult) -> None: ...

    @overload
    def __setitem__(self, index: slice, value: Iterable[TaskResult]) -> None: ...

    def __setitem__(self, index: int | slice, value: TaskResult | Iterable[TaskResult]) -> None:
        entries = list(self._entries)
        if isinstance(index, slice):
            assert not isinstance(value, TaskResult)
            entries[index] = [_Entry(each, _size_of(each)) for each in value]
        else:
            assert isinstance(value, TaskResult)
            entries[index] = _Entry(value, _size_of(value))
        self._rebuild(entries)

    def __delitem__(self, index: int | slice) -> None:
        entries = list(self._entries)
        del entries[index]
        self._rebuild(entries)

    def __iter__(self) -> Iterator[TaskResult]:
        return (each.result for each in self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, TaskHistory | list | tuple):
            return list(self) == list(cast("Iterable[object]", other))
        return NotImplemented

    # Lists are not hashable either.
    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __add__(self, other: Iterable[TaskResult]) -> list[TaskResult]:
        return [*self, *other]

    def __repr__(self) -> str:
        return repr(list(self))

    def copy(self) -> list[TaskResult]:
        """A list of the present results."""
        return list(self)

    def _holds(self, result: TaskResult) -> bool:
        return any(each.task_id == result.task_id and each == result for each in self)

    def _put(self, entry: _Entry) -> None:
        self._entries.append(entry)
        self._bytes += entry.size_bytes
        while len(self._entries) > 1 and (
            self._bytes > self._max_bytes or len(self._entries) > self._max_results
        ):
            gone = self._entries.popleft()
            self._bytes -= gone.size_bytes
            if self._appended.get(gone.result.task_id) is gone.result:
                del self._appended[gone.result.task_id]

    def _rebuild(self, entries: Iterable[_Entry]) -> None:
        kept, self._entries, self._bytes = list(entries), deque(), 0
        for each in kept:
            self._put(each)


def _size_of(result: object) -> int:
    if not isinstance(result, TaskResult):
        raise InvalidInput(
            f"a worker's history takes muster.messages.TaskResult, not {type(result).__name__}"
        )
    try:
        return len(encode_message(result))
    except EncodeError:
        # It can't be sent either, so a failure will replace it.
        return 0
