"""The futures of `Muster`, which are waited for or awaited, and the iterators over them."""

from __future__ import annotations

import asyncio
import queue
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from typing_extensions import override

from ...messages import TaskId

_Value = TypeVar("_Value")


class CallFuture(Future[_Value]):
    """The result of a function that `Muster` calls: `future.result()`, or `await future`.

    To cancel it cancels the call; a process that runs it is killed.

    Args:
        task_id: the id of its task.
        cancel_task: cancels the task.
    """

    def __init__(self, task_id: TaskId, cancel_task: Callable[[TaskId], None]) -> None:
        super().__init__()
        self.task_id = task_id
        self._cancel_task = cancel_task

    @override
    def cancel(self) -> bool:
        """Cancel the call, unless it is done; returns whether it is cancelled now."""
        was_done = self.done()
        is_cancelled = super().cancel()
        if is_cancelled and not was_done:
            self._cancel_task(self.task_id)
        return is_cancelled

    def __await__(self) -> Generator[Any, None, _Value]:
        return asyncio.wrap_future(self).__await__()


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
