"""How many workers may join: how many at once, and how many a second."""

from __future__ import annotations

from ..security.token_bucket import TokenBucket

JOINS_PER_S = 100.0
JOINS_AT_ONCE = 2_000
"""How many requests to join are answered a second in the long run, and at once after a pause.

The other workers get no answer and ask again.
"""

WARN_EVERY_S = 10.0


class JoinLimit:
    """Decides whether a request to join is answered now."""

    def __init__(self) -> None:
        self._answers = TokenBucket(JOINS_PER_S, JOINS_AT_ONCE)
        self._warned_at: float | None = None
        self._put_off = 0

    @staticmethod
    def refusal(present: int) -> str:
        """Why no worker may join while the manager has all that it takes.

        Args:
            present: how many are connected.
        """
        return (
            f"{present:,} workers are connected already, as many as this manager takes "
            "(max_workers)"
        )

    def puts_off(self, now: float) -> bool:
        """Count a request to join; whether it gets no answer for now.

        Args:
            now: the time in seconds.
        """
        if self._answers.take(now):
            return False
        self._put_off += 1
        return True

    def warning(self, now: float) -> str | None:
        """A warning about the requests without an answer; None if none is due.

        Args:
            now: the time in seconds.
        """
        if not self._put_off or (
            self._warned_at is not None and now - self._warned_at < WARN_EVERY_S
        ):
            return None
        asked, self._put_off, self._warned_at = self._put_off, 0, now
        return (
            f"too many workers join at once: only {JOINS_PER_S:g} a second are answered, the "
            f"others ask again (put off since this was last said: {asked:,})"
        )
