"""How many workers may join: so many at once, and so many a second."""

from __future__ import annotations

from ..security.token_bucket import TokenBucket

JOINS_PER_S = 100.0
JOINS_AT_ONCE = 2_000
"""How many newcomers are let in, or refused, a second in the long run, and at once after a pause.

The others get no answer and ask again.
"""

TELL_EVERY_S = 10.0


class JoinLimit:
    """Decides whether another newcomer may join now.

    Args:
        max_workers: how many may be connected at the same time.
    """

    def __init__(self, max_workers: int) -> None:
        self._max_workers = max_workers
        self._allowance = TokenBucket(JOINS_PER_S, JOINS_AT_ONCE)
        self._told_at: float | None = None
        self._put_off = 0

    def refusal(self, present: int) -> str | None:
        """Why nobody may join however long it waits; None if that is not so.

        Args:
            present: how many are connected.
        """
        if present < self._max_workers:
            return None
        return (
            f"{present:,} workers are connected already, as many as this manager takes "
            "(max_workers)"
        )

    def puts_off(self, now: float) -> bool:
        """Take note that a newcomer asks; whether it gets no answer for now.

        Args:
            now: the time in seconds.
        """
        if self._allowance.take(now):
            return False
        self._put_off += 1
        return True

    def warning(self, now: float) -> str | None:
        """What is to be told of those that got no answer; None if nothing is, for now.

        Args:
            now: the time in seconds.
        """
        if not self._put_off or (self._told_at is not None and now - self._told_at < TELL_EVERY_S):
            return None
        asked, self._put_off, self._told_at = self._put_off, 0, now
        return (
            f"too many workers join at once: only {JOINS_PER_S:g} a second are answered, the "
            f"others ask again (put off since this was last said: {asked:,})"
        )
