"""A warning about what may happen thousands of times: told at once, then seldom, with a count."""

from __future__ import annotations

from .clock import now
from .log import log

TELL_EVERY_S = 60.0


class RepeatedWarning:
    """Warns of something at most once in a while, so that nobody can fill the log with it.

    Args:
        event: what happens, for people.
        every_s: how often it is told at most, in seconds.
    """

    def __init__(self, event: str, every_s: float = TELL_EVERY_S) -> None:
        self._event = event
        self._every_s = every_s
        self._told_at: float | None = None
        self.times = 0
        """How often it has happened."""

    def tell(self, **fields: object) -> None:
        """Count it, and warn of it unless that was done lately.

        Args:
            fields: of the log line, besides `times`, which counts from the beginning.
        """
        self.times += 1
        at = now()
        if self._told_at is None or at - self._told_at >= self._every_s:
            self._told_at = at
            log.warning(self._event, times=self.times, **fields)
