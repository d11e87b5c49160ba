"""What the page shows of waiting tasks, found anew now and then."""

from __future__ import annotations

from pydantic import JsonValue

from ..kernel.board.state import BoardState
from ..kernel.board.waiting_tasks import view_waiting

EVERY_S = 1.0
"""How often the reasons are found anew at most, in seconds."""


class WaitingView:
    """Keeps the reasons that were found last."""

    def __init__(self) -> None:
        self._found_at = float("-inf")
        self._found: dict[str, JsonValue] = {}

    def change(self, board: BoardState, now: float) -> dict[str, JsonValue]:
        """The state of the waiting tasks; at most `EVERY_S` old."""
        if now - self._found_at >= EVERY_S or board.has_ended:
            self._found_at = now
            self._found = view_waiting(board)
        return self._found
