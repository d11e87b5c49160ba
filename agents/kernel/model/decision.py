"""The stored part of an assignment decision, from which explanations are generated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

MAX_NAMED = 8
"""The maximum number of workers that an explanation names; the others are only counted."""


@dataclass(frozen=True, slots=True)
class Considered:
    """A worker that was considered for a task.

    Args:
        worker: the worker's name.
        score: its score; None if it was not scored.
        verdict: why it got the task or did not, as text for people.
    """

    worker: str
    score: float | None
    verdict: str


class Candidates(NamedTuple):
    """The workers that can run tasks of one kind; shared by decisions until workers change.

    Args:
        able: names and slots of workers that can run them; as many as an explanation needs.
        failed: names of workers that can run them, but at which the task failed.
        unable: names of workers that can't run them, and why.
        is_recovery: whether the task failed before.
        in_all: the number of connected workers.
    """

    able: tuple[tuple[str, int], ...]
    failed: tuple[str, ...]
    unable: tuple[tuple[str, str], ...]
    is_recovery: bool
    in_all: int

    @classmethod
    def of(
        cls,
        able: Sequence[tuple[str, int]],
        unable: Sequence[tuple[str, str]],
        failed_by: frozenset[str],
    ) -> Candidates:
        """Summarize a task's candidates; workers at which it failed count only if no other can."""
        untried = [each for each in able if each[0] not in failed_by]
        failed = [name for name, _ in able if name in failed_by] if untried else []
        # An explanation names the scored workers and, after them, as many busy ones.
        eligible = tuple(untried or able)[: 2 * MAX_NAMED]
        return cls(
            eligible,
            tuple(failed[:MAX_NAMED]),
            tuple(unable[:MAX_NAMED]),
            bool(failed_by),
            len(able) + len(unable),
        )


class WorkerFigures(NamedTuple):
    """What a learning policy expected of a worker for a task.

    Args:
        worker: the worker's name.
        chance: the expected chance of success, 0 to 1.
        skill: its skill for tasks of this type.
        deviation: the standard deviation of that skill.
        results: the number of results from which it was learned.
        duration_s: the expected duration, in seconds.
        price_per_s: what a second of the worker's time is worth to other tasks.
        cost: the expected cost.
        value: what all of this comes to; the highest is the best.
    """

    worker: str
    chance: float
    skill: float
    deviation: float
    results: int
    duration_s: float
    price_per_s: float
    cost: float
    value: float


class Decision(NamedTuple):
    """The stored part of an assignment decision.

    Args:
        attempt: the number of the resulting attempt.
        candidates: the workers that could run the task.
        scored: names and scores of the best free candidates, the best first.
        scored_count: the number of free candidates.
        figures: what a learning policy expected of the workers, the chosen one first.
    """

    attempt: int
    candidates: Candidates
    scored: tuple[tuple[str, float], ...]
    scored_count: int
    figures: tuple[WorkerFigures, ...] = ()
