"""What the live page shows of schedules: a table with a row for each."""

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


def view_schedules(board: BoardState, now: float) -> JsonValue:
    """The table of schedules, or None if there are none."""
    if not board.schedules.by_name:
        return None
    schedules = list_schedules(board, now)
    rows = [[*cells_of(each), "; ".join(remarks_on(each))] for each in schedules[:MAX_ROWS]]
    return {"rows": cast("JsonValue", rows), "hidden": max(len(schedules) - MAX_ROWS, 0)}
