"""A warning about frequent events: logged at once, then rarely, with a count."""

from __future__ import annotations

from .clock import now
from .log import log

TELL_EVERY_S = 60.0


class RepeatedWarning:
    """Logs a warning at most once per interval, so that frequent events can't fill the log.

    Args:
        event: the text of the warning.
        every_s: the minimum interval between log lines, in seconds.
    """

    def __init__(self, event: str, every_s: float = TELL_EVERY_S) -> None:
        self._event = event
        self._every_s = every_s
        self._told_at: float | None = None
        self.times = 0
        """How often it has happened."""

    def tell(self, **fields: object) -> None:
        """Count the event, and log it unless that was done lately.

        Args:
            fields: fields of the log line, besides `times`, the total count.
        """
        self.times += 1
        at = now()
        if self._told_at is None or at - self._told_at >= self._every_s:
            self._told_at = at
            log.warning(self._event, times=self.times, **fields)
