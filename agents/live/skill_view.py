"""What the live page shows of learned skills: a map that is sent when it has changed."""

from __future__ import annotations

from pydantic import JsonValue

from ..kernel.board.state import BoardState
from ..report.skill_cell import SkillCell
from ..report.skill_map import DIFFICULTY, SkillMap, make_skill_map, read_skills

EVERY_S = 2.0
"""How often the map is made anew at most, in seconds."""

MAX_ROWS = 40
"""How many workers the page's map shows."""

MAX_COLUMNS = 12
"""How many types and skills it shows."""


class SkillView:
    """Keeps the map of skills that was sent last."""

    def __init__(self) -> None:
        self._made_at = float("-inf")
        self._sent: JsonValue = None

    def whole(self, board: BoardState) -> JsonValue:
        """The map, or None if nothing is learned."""
        cells, hidden_workers = read_skills(board, MAX_ROWS)
        if not cells:
            return None
        return _view(make_skill_map(cells, MAX_ROWS, MAX_COLUMNS), hidden_workers)

    def change(self, board: BoardState, now: float) -> JsonValue:
        """The map if it differs from the one that was sent last; None if it does not."""
        if now - self._made_at < EVERY_S and not board.has_ended:
            return None
        self._made_at = now
        made = self.whole(board)
        if made is None or made == self._sent:
            return None
        self._sent = made
        return made

    def forget(self) -> None:
        """Forget what was sent: the last page was closed."""
        self._made_at, self._sent = float("-inf"), None


def _view(shown: SkillMap, hidden_workers: int) -> JsonValue:
    return {
        "difficulty": DIFFICULTY,
        "columns": [[column.name, column.is_named_skill] for column in shown.columns],
        "rows": [
            [row.worker, [None if cell is None else _cell(cell) for cell in row.cells]]
            for row in shown.rows
        ],
        "hidden": [shown.hidden_rows + hidden_workers, shown.hidden_columns],
    }


def _cell(cell: SkillCell) -> JsonValue:
    """Skill, deviation, chance, results, pace in milliseconds, cost, and why it is blocked."""
    return [
        round(cell.skill, 1),
        round(cell.deviation, 1),
        round(cell.chance, 3),
        cell.results,
        None if cell.pace_s is None else round(1000 * cell.pace_s),
        None if cell.cost is None else float(f"{cell.cost:.4g}"),
        cell.blocked,
    ]
