"""What is kept of a decision about which worker gets a task, for explanations on demand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

MAX_NAMED = 8
"""How many workers an explanation names; the others are counted."""


@dataclass(frozen=True, slots=True)
class Considered:
    """A worker that was considered for a task.

    Args:
        worker: its name.
        score: its score, None if it was not scored.
        verdict: why it got the task or did not, for people.
    """

    worker: str
    score: float | None
    verdict: str


class Candidates(NamedTuple):
    """The workers that could do tasks of one kind; shared by decisions until workers change.

    Args:
        able: names and slots of workers that could; enough of them, not all.
        failed: names of workers that could, but at which the task had failed.
        unable: names of workers that could not, and why.
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
        """Sum up which workers can do a task; those at which it failed only if no other can."""
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


class Decision(NamedTuple):
    """What is kept of a decision.

    Args:
        attempt: the attempt it led to.
        candidates: which workers could do the task.
        scored: names and scores of free workers that could, the best first; not all of them.
        scored_count: how many free workers could do it in all.
    """

    attempt: int
    candidates: Candidates
    scored: tuple[tuple[str, float], ...]
    scored_count: int
