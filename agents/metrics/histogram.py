"""Counts how often something took how long; cheap enough to be asked for every task."""

from __future__ import annotations

import math
from bisect import bisect_left
from itertools import accumulate


class Histogram:
    """Durations counted by ranges, without a lock: whoever counts and whoever reads take turns.

    Args:
        bounds_s: where each range but the last ends, in seconds, the shortest first.
    """

    def __init__(self, bounds_s: tuple[float, ...]) -> None:
        self._bounds_s = bounds_s
        self._counts = [0] * (len(bounds_s) + 1)
        self.sum_s = 0.0

    def observe(self, duration_s: float) -> None:
        """Count a duration."""
        self._counts[bisect_left(self._bounds_s, duration_s)] += 1
        self.sum_s += duration_s

    def buckets(self) -> list[tuple[str, float]]:
        """How many durations were as long as each bound or shorter, as Prometheus writes it."""
        ends = (
            "+Inf" if math.isinf(bound) else str(bound) for bound in (*self._bounds_s, math.inf)
        )
        return list(zip(ends, accumulate(self._counts), strict=True))
