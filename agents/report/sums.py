"""Sums what attempts cost, and how good they were: of a task, a worker, a type, and the run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..kernel.model.records import Attempt, AttemptOutcome, TaskRecord


@dataclass(slots=True)
class AttemptSum:
    """What some attempts come to.

    Args:
        cost: what they cost together, in the manager's unit.
        grades: how many of them have a grade.
        grade_sum: the sum of the grades.
        declined: how many were declined.
        rejected: how many were rejected by a review or a vote.
        lost: how many were lost, with their worker or at it.
    """

    cost: float = 0.0
    grades: int = 0
    grade_sum: float = 0.0
    declined: int = 0
    rejected: int = 0
    lost: int = 0

    @property
    def quality(self) -> float | None:
        """The mean grade, 0 to 1; None without grades."""
        return self.grade_sum / self.grades if self.grades else None

    def add(self, attempt: Attempt) -> None:
        """Add an attempt."""
        self.cost += attempt.cost
        if attempt.quality is not None:
            self.grades += 1
            self.grade_sum += attempt.quality
        self.declined += attempt.outcome is AttemptOutcome.DECLINED
        self.rejected += attempt.outcome is AttemptOutcome.REJECTED
        self.lost += attempt.outcome is AttemptOutcome.LOST


@dataclass(slots=True)
class RunSums:
    """What the attempts of a run come to.

    Args:
        run: all attempts.
        by_worker: those of each worker, by name.
        by_type: those at the tasks of each type.
    """

    run: AttemptSum = field(default_factory=AttemptSum)
    by_worker: defaultdict[str, AttemptSum] = field(default_factory=lambda: defaultdict(AttemptSum))
    by_type: defaultdict[str, AttemptSum] = field(default_factory=lambda: defaultdict(AttemptSum))


def sum_attempts(records: Iterable[TaskRecord]) -> RunSums:
    """Sum the attempts at some tasks."""
    sums = RunSums()
    for record in records:
        attempts: Sequence[Attempt] = record.attempts
        of_type = sums.by_type[record.task.type]
        for attempt in attempts:
            for each in (sums.run, sums.by_worker[attempt.worker.name], of_type):
                each.add(attempt)
    return sums


def cost_of(record: TaskRecord) -> float:
    """What the attempts at a task cost together, in the manager's unit."""
    attempts: Sequence[Attempt] = record.attempts
    return sum(attempt.cost for attempt in attempts)
