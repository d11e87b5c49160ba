"""The current time: seconds since 1970 that never run backwards, or virtual time in a rehearsal."""

from __future__ import annotations

import asyncio
import time

# Wall clocks may be set back; leases and heartbeats must not be affected.
_EPOCH_S = time.time() - time.monotonic()


class LoopInVirtualTime(asyncio.SelectorEventLoop):
    """The base class of event loops whose `time()` is virtual."""

    wall_offset_s = 0.0
    """What `wall_now` adds to `time()`; a test may change it to set the wall clock."""


def now() -> float:
    """The time in seconds since 1970, never running backwards; the loop's time in virtual time."""
    # Called several times per task: `Clock.current().now()` takes twice as long.
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return _EPOCH_S + time.monotonic()
    return loop.time() if isinstance(loop, LoopInVirtualTime) else _EPOCH_S + time.monotonic()


def wall_now() -> float:
    """The time of the wall clock in seconds since 1970, which may be set back and forward."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return time.time()
    return loop.time() + loop.wall_offset_s if isinstance(loop, LoopInVirtualTime) else time.time()


class Clock:
    """A clock: the real one, or that of a loop in virtual time.

    Times of different clocks can't be compared.

    Args:
        loop: the loop in virtual time; None for the real clock.
    """

    __slots__ = ("_loop",)

    def __init__(self, loop: LoopInVirtualTime | None = None) -> None:
        self._loop = loop

    @classmethod
    def current(cls) -> Clock:
        """The clock of the running loop."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return _REAL
        return cls(loop) if isinstance(loop, LoopInVirtualTime) else _REAL

    def now(self) -> float:
        """The time of this clock, in seconds."""
        return _EPOCH_S + time.monotonic() if self._loop is None else self._loop.time()

    def __eq__(self, other: object) -> bool:
        """Whether the other is the same clock."""
        return isinstance(other, Clock) and self._loop is other._loop

    def __hash__(self) -> int:
        """By the loop."""
        return hash(self._loop)

    def __str__(self) -> str:
        """Tell in words which one it is."""
        return "real time" if self._loop is None else "virtual time"


_REAL = Clock()
