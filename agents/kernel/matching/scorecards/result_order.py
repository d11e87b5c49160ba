"""The canonical order of results that arrived together, and what they have in common."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..learning_policy import SettledAttempt

WORKER_AND_TYPE = attrgetter("worker", "task.type")
"""The key to group results by, since those of one worker and type are taken together."""

_NO_SKILLS: list[tuple[str, float]] = []


def canonical_order(settled: SettledAttempt) -> tuple[object, ...]:
    """A key to sort results by, so that scorecards do not depend on the order of their arrival.

    It holds everything that scorecards read, so results with equal keys are interchangeable.
    """
    task, worker, _, outcome, duration_s, error_kind, quality, cost, counts, at = settled
    return (
        worker.name,
        task.type,
        at,
        task.difficulty,
        outcome,
        error_kind,
        -1.0 if quality is None else quality,
        duration_s,
        cost,
        counts,
        sorted(task.required_skills.items()) if task.required_skills else _NO_SKILLS,
    )
