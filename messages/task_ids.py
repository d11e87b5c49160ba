"""Makes the ids of tasks that are created without one."""

from __future__ import annotations

import os
import threading
import time

_VERSION = 7
_VARIANT = 0b10
_LOW_BITS = 62
_COUNTER_BITS = 74


class _IdSource:
    """Makes ids as of UUID version 7: milliseconds since 1970, then a counter.

    The counter begins at a random number in each millisecond, so that processes do not make equal
    ids. Within one process each id is greater than the one before, also as text.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at_ms = 0
        self._counter = 0

    def next_id(self) -> str:
        with self._lock:
            now_ms = time.time_ns() // 1_000_000
            # A clock that was set back, or a full counter, must not break the order.
            if now_ms > self._at_ms or self._counter >> _COUNTER_BITS:
                self._at_ms = max(now_ms, self._at_ms + 1)
                # The highest bit is left free, so that the counter can count.
                self._counter = int.from_bytes(os.urandom(10), "big") >> (81 - _COUNTER_BITS)
            at_ms, counter = self._at_ms, self._counter
            self._counter += 1
        high, low = counter >> _LOW_BITS, counter & ((1 << _LOW_BITS) - 1)
        return format_uuid(at_ms << 80 | _VERSION << 76 | high << 64 | _VARIANT << _LOW_BITS | low)


def format_uuid(number: int) -> str:
    """A number of 128 bits in the form of a UUID."""
    digits = f"{number:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


_source = _IdSource()


def _begin_anew() -> None:
    global _source  # noqa: PLW0603 - a forked child must not go on with its parent's counter
    _source = _IdSource()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


def new_task_id() -> str:
    """A new id for a task, such as "019acb52-7c1e-7d3a-9b0e-5f3c1a2b4d6e".

    It is a UUID of version 7. Ids sort by time, and those of one process in the order in which they
    were made.
    """
    return _source.next_id()
