"""Estimates how long tasks of one kind take, from the times that workers report."""

from __future__ import annotations

import math

SHORTEST_S = 20e-6
"""The shortest estimate, since a worker takes longer than this to receive and report a task."""

QUICK_S = 1e-3
"""A task that takes no longer counts as quick even if others were much quicker, since a worker has
pauses of its own, such as garbage collection."""


class DurationEstimate:
    """An estimate that learns from each result.

    It rises at once and falls slowly, since short tasks are prefetched and would wait behind a task
    that is long.
    """

    __slots__ = ("_quick_in_a_row", "expected_s")

    def __init__(self) -> None:
        self.expected_s = math.inf
        """How long a task takes, in seconds; infinite before the first result."""
        self._quick_in_a_row = 0

    def learn(self, took_s: float) -> None:
        """Learn from a task that took so many seconds."""
        expected_s = self.expected_s
        took_s = max(took_s, SHORTEST_S)
        if took_s <= max(2 * expected_s, QUICK_S) and expected_s < math.inf:
            self.expected_s = expected_s + (took_s - expected_s) / 8
            self._quick_in_a_row += 1
        else:
            self.expected_s = took_s if expected_s == math.inf else (took_s + expected_s) / 2
            self._quick_in_a_row = 1

    def allows_prefetch(self, held: int) -> bool:
        """Whether a worker that has prefetched `held` tasks may get another one of this kind.

        The limit is how many were quick in a row.
        """
        return held < self._quick_in_a_row
