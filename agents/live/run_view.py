"""What the page shows of the run as a whole: its state, and how many tasks have which status."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from ...messages import TaskStatus
from ..kernel.board.state import BoardState
from .page_times import PageTimes
from .states import run_state


def view_run(board: BoardState, times: PageTimes) -> dict[str, JsonValue]:
    """The state of the run, its times, and what it has cost."""
    present, budget = len(board.worker_registry.present), board.budget
    waits_for = ""
    if board.began_at is None and not board.has_ended and not board.start_barrier.is_over:
        waits_for = board.start_barrier.progress(board.worker_registry)
    return {
        "state": run_state(board),
        "began_at": times.moment(board.began_at),
        "ended_at": times.moment(board.ended_at),
        "failure": board.failure,
        "waits_for": waits_for,
        "policy": board.policy_name,
        "workers": present,
        "cost": round(budget.spent, 6),
        "unit": budget.unit,
        "budget": budget.limit,
    }


def view_counts(board: BoardState) -> dict[str, JsonValue]:
    """How many tasks have each status."""
    counts: Mapping[TaskStatus, int] = board.counts
    return {status.value: counts[status] for status in TaskStatus}
