"""The `time` argument of users' handlers, which can also be used like the `time` module."""

from __future__ import annotations

from ..runtime.clock import now


class ArrivalTime(int):
    """When something arrived, in seconds since 1970.

    The handlers in Ceylon's documents have a parameter `time`, and call `time.time()` as if it were
    still the module. So this object offers the module's functions.
    """

    def time(self) -> float:
        """The current time in seconds since 1970; virtual time in a rehearsal."""
        return now()

    monotonic = perf_counter = time
