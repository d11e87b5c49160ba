"""Functions that are told what happens to tasks, and harm nothing when they raise or hang."""

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
"""How long a callback may take for one event, in seconds: an async one is then cancelled, of a
plain one the log tells."""

MAX_UNTOLD_EVENTS = 100_000
"""How many events may wait for a callback; those beyond are dropped, counted and logged."""

_GATHERED_S = 0.01
"""At most how often a thread is begun for a plain callback."""

EventCallback: TypeAlias = Callable[[LocalTask, str], Any]
"""Takes the task and "started", "completed", "failed" or "cancelled"; async or plain."""


class EventCallbacks:
    """Tells each callback of each event, in order; none waits for another, and no task for any."""

    def __init__(self) -> None:
        # Bounded by whoever registers them.
        self._listeners: list[_Listener] = []

    def add(self, callback: EventCallback) -> None:
        """Have a function called with each event from now on.

        Raises:
            InvalidInput: it can't be called.
        """
        if not callable(callback):
            raise InvalidInput(
                f"{show(callback)} is no event callback; give a function of a task and an event "
                "type, async or plain"
            )
        kind = _AsyncListener if is_async(callback) else _PlainListener
        self._listeners.append(kind(callback))

    def tell(self, task: LocalTask, event_type: str) -> None:
        """Note an event for each callback; called in the loop, and returns at once."""
        for listener in self._listeners:
            listener.offer(task, event_type)

    async def settle(self, limit_s: float) -> None:
        """Wait until every callback has been told of everything, but no longer than the limit."""
        if self._listeners:
            await asyncio.gather(*(each.settle(limit_s) for each in self._listeners))


class _Listener(Protocol):
    def offer(self, task: LocalTask, event_type: str) -> None: ...

    async def settle(self, limit_s: float) -> None: ...


class _Untold:
    """The events that wait for one callback."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._waiting: deque[tuple[LocalTask, str]] = deque()
        self._dropped = 0

    def put(self, task: LocalTask, event_type: str) -> None:
        if len(self._waiting) < MAX_UNTOLD_EVENTS:
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

    def give_up(self) -> None:
        """Drop what waits, at the end of a run."""
        left = len(self._waiting) + self._dropped
        if left:
            log.warning(
                "an event callback was not told of everything", callback=self._name, events=left
            )
        self._waiting.clear()
        self._dropped = 0


class _AsyncListener:
    """Calls an async callback in the loop, for one event after the other."""

    def __init__(self, callback: EventCallback) -> None:
        self._callback = cast("Callable[[LocalTask, str], Coroutine[Any, Any, object]]", callback)
        self._name = _name_of(callback)
        self._untold = _Untold(self._name)
        self._telling: asyncio.Task[None] | None = None

    def offer(self, task: LocalTask, event_type: str) -> None:
        self._untold.put(task, event_type)
        if self._telling is None or self._telling.done():
            self._telling = asyncio.get_running_loop().create_task(self._tell())

    async def settle(self, limit_s: float) -> None:
        if self._telling is None:
            return
        if self._telling.done():
            # It was cancelled from outside, as all tasks are when `asyncio.run` ends.
            self._telling = asyncio.get_running_loop().create_task(self._tell())
        try:
            await asyncio.wait([self._telling], timeout=limit_s)
        finally:
            self._telling.cancel()
            self._untold.give_up()

    async def _tell(self) -> None:
        while (event := self._untold.take()) is not None:
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
            # A user's function may raise anything, and only Ctrl-C is to end the program.
            if is_from_signal(fault):
                raise
            _report_fault(self._name, fault)


class _PlainListener:
    """Calls a plain callback in a thread, which lives while there are events.

    In the loop's thread one that hangs would stop everything. What happens within a moment is told
    in one go, since threads that take turns all the time slow one another down.
    """

    def __init__(self, callback: EventCallback) -> None:
        self._callback = callback
        self._name = _name_of(callback)
        self._untold = _Untold(self._name)
        self._delivery: asyncio.TimerHandle | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._idle = asyncio.Event()
        self._delivered_at = 0.0
        # The thread sets these two; the loop alone touches the rest.
        self._is_telling = False
        self._began_at = 0.0

    def offer(self, task: LocalTask, event_type: str) -> None:
        self._untold.put(task, event_type)
        if self._delivery is None and not self._is_telling:
            self._plan_delivery()

    async def settle(self, limit_s: float) -> None:
        if self._delivery is not None:
            self._delivery.cancel()
            self._deliver()
        try:
            if self._is_telling or self._untold.count:
                self._idle = asyncio.Event()
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._idle.wait(), limit_s)
        finally:
            for timer in (self._delivery, self._watch):
                if timer is not None:
                    timer.cancel()
            # The next run may be in another loop.
            self._delivery = self._watch = None
            self._delivered_at = 0.0
            self._untold.give_up()

    def _plan_delivery(self) -> None:
        loop = asyncio.get_running_loop()
        self._delivery = loop.call_at(self._delivered_at + _GATHERED_S, self._deliver)

    def _deliver(self) -> None:
        self._delivery = None
        batch = self._untold.take_all()
        loop = asyncio.get_running_loop()
        self._delivered_at = loop.time()
        self._is_telling = True
        self._began_at = time.monotonic()
        self._watch = loop.call_later(CALLBACK_LIMIT_S, self._look, 0.0)
        # A daemon, so that one that hangs does not keep the program from ending.
        threading.Thread(
            target=self._tell, args=(loop, batch), name=f"muster-{self._name}", daemon=True
        ).start()

    def _tell(
        self, loop: asyncio.AbstractEventLoop, batch: Iterable[tuple[LocalTask, str]]
    ) -> None:
        for event in batch:
            self._began_at = time.monotonic()
            try:
                self._callback(*event)
            except BaseException as fault:  # noqa: BLE001 - a callback may even call sys.exit()
                _report_fault(self._name, fault)
        self._is_telling = False
        # The loop is closed if the callback outlived it.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self._go_on)

    def _go_on(self) -> None:
        if self._is_telling:
            return
        if self._watch is not None:
            self._watch.cancel()
        if not self._untold.count:
            self._idle.set()
        elif self._delivery is None:
            self._plan_delivery()

    def _look(self, told_of: float) -> None:
        """See whether one call lasts too long; tell of each once."""
        began_at = self._began_at
        if not self._is_telling:
            return
        if began_at != told_of and time.monotonic() - began_at >= CALLBACK_LIMIT_S:
            told_of = began_at
            log.warning(
                "an event callback has not returned; it hears of nothing more until it does",
                callback=self._name,
                limit_s=CALLBACK_LIMIT_S,
            )
        self._watch = asyncio.get_running_loop().call_later(CALLBACK_LIMIT_S, self._look, told_of)


def _report_fault(name: str, fault: BaseException) -> None:
    log.warning("an event callback raised an exception", callback=name, exc_info=fault)


def _name_of(callback: object) -> str:
    return getattr(callback, "__qualname__", None) or show(callback)
