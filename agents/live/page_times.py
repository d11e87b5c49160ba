"""The page's times: whole milliseconds since the page's state was made."""

from __future__ import annotations


class PageTimes:
    """Turns times in seconds into the page's.

    Args:
        base: the time in seconds that is the page's 0.
    """

    def __init__(self, base: float) -> None:
        self.base = base

    def since(self, at: float) -> int:
        """A time in the page's milliseconds."""
        return round((at - self.base) * 1000)

    def moment(self, at: float | None) -> int | None:
        """A time that may be unknown."""
        return None if at is None else round((at - self.base) * 1000)
