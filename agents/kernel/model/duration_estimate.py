"""How long tasks of one kind usually take, as their workers tell."""

from __future__ import annotations

import math

SHORTEST_S = 20e-6
"""What a task takes at least: to receive it and to tell of it takes a worker longer than this."""

QUICK_S = 1e-3
"""What takes no longer counts as quick, however much quicker others were: a worker has pauses of
its own, such as Python's for garbage."""


class DurationEstimate:
    """Learns from one result after the other.

    It believes at once that tasks have become longer, and only step by step that they are short:
    short tasks are sent ahead, and wait in vain behind one that is long.
    """

    __slots__ = ("_quick_in_a_row", "expected_s")

    def __init__(self) -> None:
        self.expected_s = math.inf
        """How long a task takes, in seconds; infinite before any was done."""
        self._quick_in_a_row = 0

    def learn(self, took_s: float) -> None:
        """Take in how long a task took, in seconds."""
        expected_s = self.expected_s
        took_s = max(took_s, SHORTEST_S)
        if took_s <= max(2 * expected_s, QUICK_S) and expected_s < math.inf:
            self.expected_s = expected_s + (took_s - expected_s) / 8
            self._quick_in_a_row += 1
        else:
            self.expected_s = took_s if expected_s == math.inf else (took_s + expected_s) / 2
            self._quick_in_a_row = 1

    def allows_prefetch(self, held: int) -> bool:
        """Whether a worker that holds so many tasks ahead may get another of this kind.

        It gets no more than have been as quick in a row.
        """
        return held < self._quick_in_a_row
