"""Limits the rate of join requests that the manager answers, and the number of workers."""

from __future__ import annotations

from ..security.token_bucket import TokenBucket

JOINS_PER_S = 100.0
JOINS_AT_ONCE = 2_000
"""The sustained rate and the burst of join requests that are answered.

The other requests get no answer, and their workers retry.
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
        """The reason for a refusal because of `max_workers`.

        Args:
            present: the number of connected workers.
        """
        return (
            f"{present:,} workers are connected already, the maximum of this manager (max_workers)"
        )

    def puts_off(self, now: float) -> bool:
        """Returns whether a join request is deferred, that is, gets no answer.

        Args:
            now: the time in seconds.
        """
        if self._answers.take(now):
            return False
        self._put_off += 1
        return True

    def warning(self, now: float) -> str | None:
        """The warning about the deferred requests; None if none is due.

        Args:
            now: the time in seconds.
        """
        if not self._put_off or (
            self._warned_at is not None and now - self._warned_at < WARN_EVERY_S
        ):
            return None
        asked, self._put_off, self._warned_at = self._put_off, 0, now
        return (
            f"too many join requests: {JOINS_PER_S:g} per second are answered, the others retry "
            f"(deferred since the last warning: {asked:,})"
        )
