"""What the live page shows of costs: by type, model and day, and what learning has saved."""

from __future__ import annotations

from pydantic import JsonValue

from ..kernel.board.state import BoardState
from ..report.costs import read_cost_by_day, read_models, read_savings
from ..report.words import describe_savings

EVERY_S = 2.0
"""How often the sums are made anew at most, in seconds."""

SAVINGS_EVERY_S = 60.0
"""How often it is estimated at most what was saved, in seconds: that takes a while."""

MAX_COMPARED = 1_000
"""How many settled tasks are compared with the strongest worker's: the latest."""

MAX_ROWS = 20
"""How many types, models and days are shown: the dearest, and the latest days."""


class CostView:
    """Makes the costs, and keeps the last estimate of what was saved."""

    def __init__(self) -> None:
        self._estimated_at = float("-inf")
        self._is_final = False
        self._learning = ""

    def make(self, board: BoardState, now: float) -> JsonValue:
        """The costs, or None if nothing costs anything and no model was used."""
        models = read_models(board)
        if not board.budget.spent and not models:
            return None
        types = sorted(board.spending.sums.by_type.items(), key=lambda item: -item[1])
        days = list(reversed(read_cost_by_day(board).items()))
        return {
            "types": [[name, _short(cost)] for name, cost in types[:MAX_ROWS]],
            "models": [
                [name, each.attempts, each.tokens_in, each.tokens_out, _short(each.cost)]
                for name, each in list(models.items())[:MAX_ROWS]
            ],
            "days": [[day, _short(cost)] for day, cost in days[:MAX_ROWS]],
            "hidden": [max(len(each) - MAX_ROWS, 0) for each in (models, types, days)],
            "learning": self._estimate(board, now),
        }

    def _estimate(self, board: BoardState, now: float) -> str:
        is_due = now - self._estimated_at >= SAVINGS_EVERY_S
        if not self._is_final and (is_due or board.has_ended):
            self._estimated_at, self._is_final = now, board.has_ended
            savings = read_savings(board, MAX_COMPARED)
            unit = board.budget.unit
            self._learning = "" if savings is None else describe_savings(savings, unit)
        return self._learning


def _short(cost: float) -> float:
    return float(f"{cost:.6g}")
