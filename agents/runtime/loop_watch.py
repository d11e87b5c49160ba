"""Detects that an event loop is blocked, for how long, and by what.

Messages that wait in a blocked loop are late through no fault of their senders. So this time is
subtracted when a peer's silence is judged. And the log names the handler that blocks the loop.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

from .clock import LoopInVirtualTime, now
from .log import log

TICK_S = 0.5
"""How often a loop proves that it runs, and how often that is checked, in seconds."""

LATE_FROM_S = 0.5
"""From how many seconds on a loop counts as late; shorter delays are normal on a busy machine."""

TOLD_FROM_S = 1.5
"""From how many seconds on it is logged what blocks a loop."""

TOLD_EVERY_S = 60.0
"""The minimum interval between log lines about the same cause, in seconds."""

_MAX_FRAMES = 6
_MAX_INTERVALS = 256
_MAX_CULPRITS = 1_000

NameTask: TypeAlias = Callable[[asyncio.Task[Any]], str | None]
"""Returns the attempt that an asyncio task works on, such as "worker 'Ada': task 7 (attempt 1)"."""


class LoopWatch:
    """Watches one loop, for all agents in it.

    Args:
        loop: the loop; one in virtual time is never late.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._is_virtual = isinstance(loop, LoopInVirtualTime)
        self._thread = threading.get_ident()
        self._timer: asyncio.TimerHandle | None = None
        self._due_at = 0.0
        self._suspected = 0.0
        # When the loop ran again, and for how long it had been blocked.
        self._late: deque[tuple[float, float]] = deque(maxlen=_MAX_INTERVALS)
        # One for each agent in the loop.
        self._namers: list[NameTask] = []
        self._culprit = ""
        self._told_at: dict[str, float] = {}

    # ------------------------------------------------------------------ for agents, in the loop

    @classmethod
    def begin(cls, name_task: NameTask) -> LoopWatch:
        """Watch the running loop, until `end` is called with the same function.

        Args:
            name_task: returns the attempt that an asyncio task of the loop works on.
        """
        loop = asyncio.get_running_loop()
        watch = _watches.get(loop)
        if watch is None:
            watch = _watches[loop] = cls(loop)
        watch._namers.append(name_task)
        if watch._timer is None and not watch._is_virtual:
            watch._set_timer()
            _watcher.watch(watch)
        return watch

    def end(self, name_task: NameTask) -> None:
        """Stop watching for one agent."""
        self._namers.remove(name_task)
        if not self._namers:
            _watcher.forget(self)
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def late_since(self, at: float) -> float:
        """For how many seconds in total the loop has been blocked since a time.

        Args:
            at: the time, in seconds, as `now` returns it.
        """
        moment = now()
        total_s = 0.0 if self._timer is None else _overlap(at, moment, moment - self._due_at)
        for ended_at, late_s in reversed(self._late):
            if ended_at <= at:
                break
            total_s += _overlap(at, ended_at, late_s)
        return total_s

    def _set_timer(self) -> None:
        self._due_at = now() + TICK_S
        self._timer = self._loop.call_later(TICK_S, self._tick)

    def _tick(self) -> None:
        moment = now()
        late_s = moment - self._due_at
        self._set_timer()
        if late_s >= LATE_FROM_S:
            self._late.append((moment, late_s))
        culprit, self._culprit = self._culprit, ""
        if culprit:
            log.info(f"the event loop runs again after {late_s:.1f} s, blocked by {culprit}")

    # ------------------------------------------------------------------ in the watcher's thread

    def look(self) -> None:
        """Log what blocks the loop, if anything does."""
        due_at = self._due_at
        late_s, was_suspected = now() - due_at, self._suspected == due_at
        self._suspected = due_at if late_s >= LATE_FROM_S else 0.0
        # Seen only once, the whole process may have been stopped and has just been continued.
        if late_s < TOLD_FROM_S or not was_suspected or self._culprit:
            return
        frame = sys._current_frames().get(self._thread)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        if frame is None:
            return
        stack = traceback.extract_stack(frame)
        del frame
        if self._due_at != due_at:
            return
        attempt = self._name_attempt()
        culprit = attempt or self._name_work()
        told_at = self._told_at.get(culprit)
        moment = now()
        if told_at is not None and moment - told_at < TOLD_EVERY_S:
            return
        if len(self._told_at) >= _MAX_CULPRITS:
            self._told_at.clear()
        self._told_at[culprit] = moment
        self._culprit = culprit
        # A busy machine may delay anything; only a handler is worth a warning.
        tell = log.info if attempt is None else log.warning
        tell(
            f"{culprit} has blocked the event loop for {late_s:.1f} s; an async "
            "function must not block: await what takes time, or make it a plain function",
            stack=" < ".join(
                f"{each.name} ({each.filename}:{each.lineno})"
                for each in reversed(stack[-_MAX_FRAMES:])
            ),
        )

    def _name_attempt(self) -> str | None:
        work = asyncio.current_task(self._loop)
        names = (None if work is None else name_task(work) for name_task in tuple(self._namers))
        return next((name for name in names if name is not None), None)

    def _name_work(self) -> str:
        work = asyncio.current_task(self._loop)
        return "a callback" if work is None else f"the asyncio task {work.get_name()!r}"


def _overlap(at: float, ended_at: float, late_s: float) -> float:
    """How much of a blocked period lies after a time."""
    return max(min(late_s, ended_at - at), 0.0)


class _Watcher:
    """A thread that checks the watched loops of this process, while there are any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watches: set[LoopWatch] = set()
        self._thread: threading.Thread | None = None

    def watch(self, watch: LoopWatch) -> None:
        with self._lock:
            self._watches.add(watch)
            # After a fork the thread exists only in the parent process.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._look_again_and_again, name="muster-loop-watch", daemon=True
                )
                self._thread.start()

    def forget(self, watch: LoopWatch) -> None:
        with self._lock:
            self._watches.discard(watch)

    def _look_again_and_again(self) -> None:
        pause = threading.Event()
        while True:
            pause.wait(TICK_S)
            with self._lock:
                watches = tuple(self._watches)
                if not watches:
                    self._thread = None
                    return
            for watch in watches:
                try:
                    watch.look()
                except Exception as fault:  # noqa: BLE001 - it must not end the watcher
                    log.error("checking an event loop failed", exc_info=fault)


_watcher = _Watcher()
_watches: WeakKeyDictionary[asyncio.AbstractEventLoop, LoopWatch] = WeakKeyDictionary()
