"""What the live page shows of learned skills: each worker's skill for each type of task."""

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


def view_skill_map(board: BoardState, _: float) -> JsonValue:
    """The map of skills, or None if nothing is learned."""
    cells, hidden_workers = read_skills(board, MAX_ROWS)
    if not cells:
        return None
    return _view(make_skill_map(cells, MAX_ROWS, MAX_COLUMNS), hidden_workers)


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
