"""Reads from a board what a run cost by day and by model, and what learning has saved."""

from __future__ import annotations

from datetime import datetime, timezone

from ..kernel.board.cost_sums import DAY_S
from ..kernel.board.state import BoardState
from ..kernel.matching.scorecards.scorecards import Scorecards
from ..replay.strongest import estimate_strongest
from .cost_model import ModelCost, SavingsReport

MAX_COMPARED = 2_000
"""How many settled tasks a report compares with the strongest worker's: the latest."""


def read_cost_by_day(board: BoardState) -> dict[str, float]:
    """What attempts cost by the day on which they ended, the first day first."""
    return {_name_day(day): cost for day, cost in sorted(board.spending.sums.by_day.items())}


def read_models(board: BoardState) -> dict[str, ModelCost]:
    """What attempts have used of each model, the dearest first."""
    used = sorted(
        board.spending.by_model.items(),
        key=lambda item: (-item[1].cost, -item[1].tokens_out, item[0]),
    )
    return {
        name: ModelCost(
            attempts=each.attempts,
            tokens_in=each.tokens_in,
            tokens_out=each.tokens_out,
            cost=each.cost,
        )
        for name, each in used
    }


def read_savings(board: BoardState, max_compared: int = MAX_COMPARED) -> SavingsReport | None:
    """What a run has saved against always the strongest worker, if its policy learns.

    Args:
        board: the run, which may go on.
        max_compared: how many settled tasks to compare at most.
    """
    if not isinstance(getattr(board.queue.policy, "scorecards", None), Scorecards):
        return None
    estimate = estimate_strongest(board, max_compared)
    if estimate is None:
        return None
    return SavingsReport(
        tasks=estimate.tasks,
        completed=estimate.completed,
        cost=estimate.cost,
        workers=dict(estimate.workers),
        strongest_completed=estimate.strongest_completed,
        strongest_cost=estimate.strongest_cost,
        saved=estimate.saved,
        saved_from=estimate.cost_from - estimate.cost,
        saved_to=estimate.cost_to - estimate.cost,
        uncertainty=(estimate.cost_to - estimate.cost_from) / 2,
        certainty=estimate.certainty,
        seen_share=estimate.seen_attempts / estimate.attempts,
    )


def _name_day(day: int) -> str:
    try:
        return datetime.fromtimestamp(day * DAY_S, timezone.utc).strftime("%Y-%m-%d")
    except (ValueError, OverflowError, OSError):
        return f"day {day}"
