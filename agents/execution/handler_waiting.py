"""Lets a handler wait for what the manager will deliver, without holding its slot meanwhile."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ...messages import BacklogFull, InvalidInput
from ..runtime.daemon_threads import DaemonThreads
from .suspension import SlotKeeper, Suspension

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ...messages import TaskAssignment

MAX_SUSPENDED = 10_000
"""How many attempts may be suspended at one worker."""

WaitedT = TypeVar("WaitedT")


class HandlerWaiting:
    """The part of a handler's context that lets it wait."""

    if TYPE_CHECKING:
        _assignment: TaskAssignment
        _loop: asyncio.AbstractEventLoop
        _loop_thread: int

    # Class attributes, since most attempts wait for nothing and should not pay for it.
    slots: SlotKeeper | None = None
    """What has the slots; None for a handler that runs without a worker."""
    pool: Executor | None = None
    """The executor in one of whose threads the handler runs; None for the event loop."""
    _suspension: Suspension | None = None
    _waiting_threads: dict[asyncio.Task[Any], None] | None = None

    @property
    def suspended_s(self) -> float:
        """For how long the attempt has waited without a slot, in seconds."""
        return 0.0 if self._suspension is None else self._suspension.suspended_s

    @asynccontextmanager
    async def waiting(self, reason: str) -> AsyncGenerator[None]:
        """While this is open, the handler only waits: its slot is free for other tasks.

        The attempt does not time out meanwhile, and `muster why` and the live page show the reason.
        On leaving, the handler waits for a slot before it goes on. Use it to await what other tasks
        or people do:

            async with context.waiting("waits for the door to open"):
                await door.opened()

        Call it in the event loop; a `HandlerCall` also works in threads.

        Args:
            reason: what it waits for, for people: "waits for …", 1,000 characters at most.

        Raises:
            BacklogFull: `MAX_SUSPENDED` attempts are suspended at this worker.
        """
        slots = self.slots
        if slots is None:
            # Without a worker there are no slots.
            yield
            return
        if slots.suspended_count >= MAX_SUSPENDED:
            raise BacklogFull(
                f"{MAX_SUSPENDED:,} attempts wait at this worker already, which is the limit; "
                "use more workers, or submit fewer tasks that wait at once"
            )
        if self._suspension is None:
            key = (self._assignment.task.id, self._assignment.attempt)
            self._suspension = Suspension(slots, key)
        async with self._suspension.waiting(reason):
            yield

    def wait_in_thread(
        self, start: Callable[[], Coroutine[Any, Any, WaitedT]], timeout_s: float | None
    ) -> WaitedT:
        """Wait in a handler's thread for what a coroutine returns in the worker's event loop.

        The thread is kept; the executor grows by another one meanwhile.

        Raises:
            InvalidInput: this is the event loop's own thread, or the executor can't grow.
            TimeoutError: it did not return within `timeout_s` seconds.
            concurrent.futures.CancelledError: the attempt was cancelled.
        """
        if threading.get_ident() == self._loop_thread:
            raise InvalidInput(
                "result() blocks the worker's event loop; write `await` in an async handler"
            )
        pool = self.pool
        if pool is not None and not isinstance(pool, DaemonThreads):
            raise InvalidInput(
                f"this handler waits in a thread of a {type(pool).__name__}, which has no further "
                "threads for other tasks meanwhile; make the handler async, or leave out the "
                "worker's executor"
            )
        if pool is None:
            return self._run_in_loop(start, timeout_s)
        with pool.waiting():
            return self._run_in_loop(start, timeout_s)

    def cancel_waits(self) -> None:
        """Wake the threads that wait, because the attempt was cancelled."""
        for waiting in tuple(self._waiting_threads or ()):
            waiting.cancel()

    def _run_in_loop(
        self, start: Callable[[], Coroutine[Any, Any, WaitedT]], timeout_s: float | None
    ) -> WaitedT:
        async def wait() -> WaitedT:
            current = asyncio.current_task()
            assert current is not None
            if self._waiting_threads is None:
                self._waiting_threads = {}
            self._waiting_threads[current] = None
            try:
                return await start()
            finally:
                self._waiting_threads.pop(current, None)

        future = asyncio.run_coroutine_threadsafe(wait(), self._loop)
        try:
            return future.result(timeout_s)
        except concurrent.futures.TimeoutError:
            if not future.done():
                future.cancel()
                raise TimeoutError(f"no result within {timeout_s:g} s") from None
            raise


class HandlerCall(Generic[WaitedT]):
    """Something that a handler waits for: `await` it, or call `result` in a thread.

    Args:
        context: the context of the handler.
        start: makes the coroutine that waits, in the worker's event loop.
    """

    def __init__(
        self, context: HandlerWaiting, start: Callable[[], Coroutine[Any, Any, WaitedT]]
    ) -> None:
        self._context = context
        self._start = start

    def __await__(self) -> Generator[Any, Any, WaitedT]:
        return self._start().__await__()

    def result(self, timeout_s: float | None = None) -> WaitedT:
        """Wait for it in a handler that runs in a thread.

        Args:
            timeout_s: for how long, in seconds; None for no limit.

        Raises:
            InvalidInput: this is the worker's event loop, or the executor can't grow.
            TimeoutError: there was nothing within `timeout_s`.
        """
        return self._context.wait_in_thread(self._start, timeout_s)
