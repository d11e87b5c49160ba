"""A part of the live page that is made anew now and then, and sent when it has changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from pydantic import JsonValue

from ..kernel.board.state import BoardState

MakeView: TypeAlias = Callable[[BoardState, float], JsonValue]
"""Makes a part of the page from a board and the time; None if there is nothing to show."""


class TimedView:
    """Keeps what was sent last of one part of the page.

    Args:
        make: makes the part.
        every_s: how often it is made anew at most, in seconds.
    """

    def __init__(self, make: MakeView, every_s: float = 0.0) -> None:
        self.make = make
        self._every_s = every_s
        self.forget()

    def forget(self) -> None:
        """Forget what was sent: the last page was closed."""
        self._made_at = float("-inf")
        self._sent: JsonValue = None

    def has_changed(self, board: BoardState, now: float) -> bool:
        """Whether the part is due and differs from what was sent last; `sent` is then the new."""
        if now - self._made_at < self._every_s and not board.has_ended:
            return False
        self._made_at = now
        made = self.make(board, now)
        if made == self._sent:
            return False
        self._sent = made
        return True

    @property
    def sent(self) -> JsonValue:
        """What was sent last; None for nothing."""
        return self._sent
