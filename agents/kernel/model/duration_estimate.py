"""Estimates the duration of tasks of one kind from the durations that workers report."""

from __future__ import annotations

import math

SHORTEST_S = 20e-6
"""The minimum estimate; receiving and reporting a task takes a worker longer than this."""

QUICK_S = 1e-3
"""A task up to this duration counts as quick even if others were much quicker, because a worker has
pauses, such as garbage collection."""


class DurationEstimate:
    """A duration estimate that is updated with each result.

    It rises at once and falls slowly, because prefetched short tasks would wait behind a long one.
    """

    __slots__ = ("_quick_in_a_row", "expected_s", "shortest_s")

    def __init__(self) -> None:
        self.expected_s = math.inf
        """The expected duration of a task, in seconds; infinite before the first result."""
        self.shortest_s: float | None = None
        """The shortest duration of a success, in seconds; None before the first."""
        self._quick_in_a_row = 0

    def note_success(self, took_s: float) -> bool:
        """Note the duration of a success, in seconds. Returns whether it is the first."""
        is_first = self.shortest_s is None
        self.shortest_s = took_s if self.shortest_s is None else min(self.shortest_s, took_s)
        return is_first

    def learn(self, took_s: float) -> None:
        """Update the estimate with the duration of a task, in seconds."""
        expected_s = self.expected_s
        took_s = max(took_s, SHORTEST_S)
        if took_s <= max(2 * expected_s, QUICK_S) and expected_s < math.inf:
            self.expected_s = expected_s + (took_s - expected_s) / 8
            self._quick_in_a_row += 1
        else:
            self.expected_s = took_s if expected_s == math.inf else (took_s + expected_s) / 2
            self._quick_in_a_row = 1

    def allows_prefetch(self, held: int) -> bool:
        """Whether a worker with `held` prefetched tasks may get another one of this kind.

        The limit is the number of consecutive quick tasks.
        """
        return held < self._quick_in_a_row
