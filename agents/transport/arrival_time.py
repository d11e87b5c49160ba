"""The time that handlers are given, which also answers to what their readers take it for."""

from __future__ import annotations

from ..runtime.clock import now


class ArrivalTime(int):
    """When something arrived, in seconds since 1970.

    The documents' handlers have a parameter `time`, and call `time.time()` as if that were still
    the module. So this tells the time as the module does.
    """

    def time(self) -> float:
        """Tell the time now, in seconds since 1970; in a rehearsal, virtual time."""
        return now()

    monotonic = perf_counter = time
