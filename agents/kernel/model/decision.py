"""What is kept of a decision about who gets a task: names and numbers, made into words later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

MAX_NAMED = 8
"""How many workers an explanation names; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Considered:
    """One worker that was looked at for a task.

    Args:
        worker: its name.
        score: its score, None if it was not even scored.
        verdict: why it got the task or did not, for people.
    """

    worker: str
    score: float | None
    verdict: str


class Candidates(NamedTuple):
    """Who could do tasks of one kind, as long as nobody came or went; shared by decisions.

    Args:
        able: names and slots of those that could; enough of them, not all.
        failed: names of those that could, but at which the task had failed.
        unable: names of those that could not, and why.
        is_recovery: whether the task had failed before.
        in_all: how many workers there were.
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
        """Sum up who can do a task: those at which it failed only if nobody else can."""
        untried = [each for each in able if each[0] not in failed_by]
        failed = [name for name, _ in able if name in failed_by] if untried else []
        # Named are those that were scored and, behind them, as many that were busy.
        eligible = tuple(untried or able)[: 2 * MAX_NAMED]
        return cls(
            eligible,
            tuple(failed[:MAX_NAMED]),
            tuple(unable[:MAX_NAMED]),
            bool(failed_by),
            len(able) + len(unable),
        )


class Decision(NamedTuple):
    """What is kept of a decision.

    Args:
        attempt: the attempt it led to.
        candidates: who could do the task.
        scored: names and scores of the free workers that could, the best first; not all of them.
        scored_count: how many these were in all.
    """

    attempt: int
    candidates: Candidates
    scored: tuple[tuple[str, float], ...]
    scored_count: int
