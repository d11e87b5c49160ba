"""A rate limit: a token bucket."""

from __future__ import annotations


class TokenBucket:
    """Allows a number of actions per second, and a few at once after a pause.

    Args:
        rate_per_s: how many per second in the long run.
        burst: how many at once at most.
    """

    def __init__(self, rate_per_s: float, burst: int) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._left = float(burst)
        self._filled_at: float | None = None

    def take(self, now: float) -> bool:
        """Take a token; return False if none is left.

        Args:
            now: the time in seconds.
        """
        if not self.has_any(now):
            return False
        self._left -= 1
        return True

    def has_any(self, now: float) -> bool:
        """Whether there is a token to take.

        Args:
            now: the time in seconds.
        """
        if self._filled_at is not None:
            gained = max(now - self._filled_at, 0.0) * self._rate_per_s
            self._left = min(self._left + gained, self._burst)
        self._filled_at = now
        return self._left >= 1
