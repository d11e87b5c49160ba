"""Calls event callbacks, so that one that raises or hangs disturbs neither tasks nor others."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Protocol, TypeAlias, cast

from ...messages import InvalidInput
from ...messages.wording import show
from ..execution.attempt_outcome import is_from_signal
from ..runtime.async_functions import is_async
from ..runtime.log import log
from .task import LocalTask

CALLBACK_LIMIT_S = 10.0
"""How long a callback may take for one event, in seconds. Then an async one is cancelled, and a
plain one is logged."""

MAX_QUEUED_EVENTS = 100_000
"""How many events may wait for a callback; further ones are dropped, counted and logged."""

_BATCH_S = 0.01
"""The minimum time between two threads for a plain callback, in seconds."""

EventCallback: TypeAlias = Callable[[LocalTask, str], Any]
"""A function of the task and "started", "completed", "failed" or "cancelled"; async or plain."""


class EventCallbacks:
    """Calls each callback with each event, in order; no callback or task waits for a callback."""

    def __init__(self) -> None:
        # Bounded by the program that registers them.
        self._listeners: list[_Listener] = []

    def add(self, callback: EventCallback) -> None:
        """Call a function with each event from now on.

        Raises:
            InvalidInput: it is not callable.
        """
        if not callable(callback):
            raise InvalidInput(
                f"{show(callback)} is not an event callback; pass a function of a task and an "
                "event type, async or plain"
            )
        kind = _AsyncListener if is_async(callback) else _PlainListener
        self._listeners.append(kind(callback))

    def publish(self, task: LocalTask, event_type: str) -> None:
        """Queue an event for each callback; called in the loop, never waits."""
        for listener in self._listeners:
            listener.put(task, event_type)

    async def settle(self, limit_s: float) -> None:
        """Wait until every callback was called with all its events, at most for the limit."""
        if self._listeners:
            await asyncio.gather(*(each.settle(limit_s) for each in self._listeners))


class _Listener(Protocol):
    def put(self, task: LocalTask, event_type: str) -> None: ...

    async def settle(self, limit_s: float) -> None: ...


class _EventQueue:
    """The events that wait for one callback."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._waiting: deque[tuple[LocalTask, str]] = deque()
        self._dropped = 0

    def put(self, task: LocalTask, event_type: str) -> None:
        if len(self._waiting) < MAX_QUEUED_EVENTS:
            self._waiting.append((task, event_type))
            return
        if not self._dropped:
            log.warning(
                "an event callback is too slow: events are dropped",
                callback=self._name,
                waiting=len(self._waiting),
            )
        self._dropped += 1

    @property
    def count(self) -> int:
        return len(self._waiting)

    def take_all(self) -> deque[tuple[LocalTask, str]]:
        taken, self._waiting = self._waiting, deque()
        return taken

    def take(self) -> tuple[LocalTask, str] | None:
        return self._waiting.popleft() if self._waiting else None

    def discard(self) -> None:
        """Drop the waiting events, at the end of a run."""
        left = len(self._waiting) + self._dropped
        if left:
            log.warning(
                "an event callback did not get all events", callback=self._name, events=left
            )
        self._waiting.clear()
        self._dropped = 0


class _AsyncListener:
    """Calls an async callback in the loop, with one event after the other."""

    def __init__(self, callback: EventCallback) -> None:
        self._callback = cast("Callable[[LocalTask, str], Coroutine[Any, Any, object]]", callback)
        self._name = _name_of(callback)
        self._queue = _EventQueue(self._name)
        self._delivering: asyncio.Task[None] | None = None

    def put(self, task: LocalTask, event_type: str) -> None:
        self._queue.put(task, event_type)
        if self._delivering is None or self._delivering.done():
            self._delivering = asyncio.get_running_loop().create_task(self._deliver())

    async def settle(self, limit_s: float) -> None:
        if self._delivering is None:
            return
        if self._delivering.done():
            # It was cancelled from outside, as all tasks are when `asyncio.run` ends.
            self._delivering = asyncio.get_running_loop().create_task(self._deliver())
        try:
            await asyncio.wait([self._delivering], timeout=limit_s)
        finally:
            self._delivering.cancel()
            self._queue.discard()

    async def _deliver(self) -> None:
        while (event := self._queue.take()) is not None:
            try:
                await asyncio.wait_for(self._call(*event), CALLBACK_LIMIT_S)
            except asyncio.TimeoutError:
                log.warning(
                    "an event callback took too long and was cancelled",
                    callback=self._name,
                    limit_s=CALLBACK_LIMIT_S,
                )

    async def _call(self, task: LocalTask, event_type: str) -> None:
        try:
            await self._callback(task, event_type)
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as fault:
            # A user's function may raise anything; only Ctrl-C may end the program.
            if is_from_signal(fault):
                raise
            _report_fault(self._name, fault)


class _PlainListener:
    """Calls a plain callback in a thread, which exists while there are events.

    In the loop's thread a hanging callback would stop everything. Events are delivered in batches,
    since threads that alternate all the time slow one another down.
    """

    def __init__(self, callback: EventCallback) -> None:
        self._callback = callback
        self._name = _name_of(callback)
        self._queue = _EventQueue(self._name)
        self._delivery: asyncio.TimerHandle | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._idle = asyncio.Event()
        self._delivered_at = 0.0
        # The thread sets these two; only the loop accesses the others.
        self._is_delivering = False
        self._began_at = 0.0

    def put(self, task: LocalTask, event_type: str) -> None:
        self._queue.put(task, event_type)
        if self._delivery is None and not self._is_delivering:
            self._plan_delivery()

    async def settle(self, limit_s: float) -> None:
        if self._delivery is not None:
            self._delivery.cancel()
            self._deliver()
        try:
            if self._is_delivering or self._queue.count:
                self._idle = asyncio.Event()
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._idle.wait(), limit_s)
        finally:
            for timer in (self._delivery, self._watch):
                if timer is not None:
                    timer.cancel()
            # The next run may use another loop.
            self._delivery = self._watch = None
            self._delivered_at = 0.0
            self._queue.discard()

    def _plan_delivery(self) -> None:
        loop = asyncio.get_running_loop()
        self._delivery = loop.call_at(self._delivered_at + _BATCH_S, self._deliver)

    def _deliver(self) -> None:
        self._delivery = None
        batch = self._queue.take_all()
        loop = asyncio.get_running_loop()
        self._delivered_at = loop.time()
        self._is_delivering = True
        self._began_at = time.monotonic()
        self._watch = loop.call_later(CALLBACK_LIMIT_S, self._check_duration, 0.0)
        # A daemon thread, so that a hanging callback does not keep the program from ending.
        threading.Thread(
            target=self._call_with_each,
            args=(loop, batch),
            name=f"muster-{self._name}",
            daemon=True,
        ).start()

    def _call_with_each(
        self, loop: asyncio.AbstractEventLoop, batch: Iterable[tuple[LocalTask, str]]
    ) -> None:
        for event in batch:
            self._began_at = time.monotonic()
            try:
                self._callback(*event)
            except BaseException as fault:  # noqa: BLE001 - a callback may even call sys.exit()
                _report_fault(self._name, fault)
        self._is_delivering = False
        # The loop may be closed by now, if the callback outlasted it.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self._continue)

    def _continue(self) -> None:
        if self._is_delivering:
            return
        if self._watch is not None:
            self._watch.cancel()
        if not self._queue.count:
            self._idle.set()
        elif self._delivery is None:
            self._plan_delivery()

    def _check_duration(self, logged: float) -> None:
        """Log a call that takes too long, once.

        Args:
            logged: when the call began that was logged last.
        """
        began_at = self._began_at
        if not self._is_delivering:
            return
        if began_at != logged and time.monotonic() - began_at >= CALLBACK_LIMIT_S:
            logged = began_at
            log.warning(
                "an event callback has not returned; it gets no more events until it does",
                callback=self._name,
                limit_s=CALLBACK_LIMIT_S,
            )
        loop = asyncio.get_running_loop()
        self._watch = loop.call_later(CALLBACK_LIMIT_S, self._check_duration, logged)


def _report_fault(name: str, fault: BaseException) -> None:
    log.warning("an event callback raised an exception", callback=name, exc_info=fault)


def _name_of(callback: object) -> str:
    return getattr(callback, "__qualname__", None) or show(callback)
