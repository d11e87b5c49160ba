"""The iterators over the futures of `Muster`."""

from __future__ import annotations

import asyncio
import queue
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import Generic, TypeVar

from ..submission.call_future import CallFuture

_Value = TypeVar("_Value")


class MappedCalls(Generic[_Value]):
    """The results of `map` in the order of the items, for `for` and for `async for`.

    Args:
        submit_next: submits the next few calls; returns no futures when there are no more.
        max_waiting: how many calls there may be at a time.
    """

    def __init__(
        self, submit_next: Callable[[int], list[CallFuture[_Value]]], max_waiting: int
    ) -> None:
        self._submit_next = submit_next
        self._max_waiting = max_waiting
        self._waiting: deque[CallFuture[_Value]] = deque()
        self._is_drained = False
        self._fill()

    def __iter__(self) -> Iterator[_Value]:
        return self

    def __next__(self) -> _Value:
        self._fill()
        if not self._waiting:
            raise StopIteration
        return self._waiting.popleft().result()

    def __aiter__(self) -> AsyncIterator[_Value]:
        return self

    async def __anext__(self) -> _Value:
        self._fill()
        if not self._waiting:
            raise StopAsyncIteration
        return await self._waiting.popleft()

    def _fill(self) -> None:
        # By the half, since single calls take longer to submit.
        while not self._is_drained and len(self._waiting) <= self._max_waiting // 2:
            submitted = self._submit_next(self._max_waiting - len(self._waiting))
            self._is_drained = not submitted
            self._waiting.extend(submitted)


class CompletedCalls(Generic[_Value]):
    """Futures in the order in which they are done, for `for` and for `async for`.

    Args:
        futures: the futures.
    """

    def __init__(self, futures: Iterable[Future[_Value]]) -> None:
        waiting = list(dict.fromkeys(futures))
        self._left = len(waiting)
        self._done: queue.SimpleQueue[Future[_Value]] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._has_more: asyncio.Event | None = None
        for future in waiting:
            future.add_done_callback(self._put)

    def __iter__(self) -> Iterator[Future[_Value]]:
        return self

    def __next__(self) -> Future[_Value]:
        if not self._left:
            raise StopIteration
        self._left -= 1
        return self._done.get()

    def __aiter__(self) -> AsyncIterator[Future[_Value]]:
        return self

    async def __anext__(self) -> Future[_Value]:
        if not self._left:
            raise StopAsyncIteration
        if self._has_more is None:
            self._has_more = asyncio.Event()
            self._loop = asyncio.get_running_loop()
        while self._done.empty():
            self._has_more.clear()
            # One may have been put in between.
            if self._done.empty():
                await self._has_more.wait()
        self._left -= 1
        return self._done.get()

    def _put(self, future: Future[_Value]) -> None:
        self._done.put(future)
        if self._loop is not None and self._has_more is not None:
            self._loop.call_soon_threadsafe(self._has_more.set)
