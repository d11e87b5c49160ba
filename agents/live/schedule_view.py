"""What the live page shows of schedules: a table that is sent when it has changed."""

from __future__ import annotations

from typing import cast

from pydantic import JsonValue

from ..kernel.board.state import BoardState
from ..schedules.listing import list_schedules
from ..schedules.table import cells_of, remarks_on

EVERY_S = 1.0
"""How often the table is made anew at most, in seconds."""

MAX_ROWS = 100
"""How many schedules the page shows."""


class ScheduleView:
    """Keeps the table of schedules that was sent last."""

    def __init__(self) -> None:
        self._made_at = float("-inf")
        self._sent: JsonValue = None

    def whole(self, board: BoardState, now: float) -> JsonValue:
        """The table, or None if there are no schedules."""
        if not board.schedules.by_name:
            return None
        schedules = list_schedules(board, now)
        rows = [[*cells_of(each), "; ".join(remarks_on(each))] for each in schedules[:MAX_ROWS]]
        return {"rows": cast("JsonValue", rows), "hidden": max(len(schedules) - MAX_ROWS, 0)}

    def change(self, board: BoardState, now: float) -> JsonValue:
        """The table if it differs from the one that was sent last; None if it does not."""
        if now - self._made_at < EVERY_S and not board.has_ended:
            return None
        self._made_at = now
        # Also when the last schedule is removed.
        made = self.whole(board, now) or ({"rows": [], "hidden": 0} if self._sent else None)
        if made is None or made == self._sent:
            return None
        self._sent = made
        return made

    def forget(self) -> None:
        """Forget what was sent: the last page was closed."""
        self._made_at, self._sent = float("-inf"), None
