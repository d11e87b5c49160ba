"""Sums up attempts, their costs and grades: of a task, a worker, a group of tasks, and the run."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from ...messages import TaskStatus
from ..kernel.model.records import Attempt, AttemptOutcome, TaskRecord
from .model import GroupReport

_Group = TypeVar("_Group", int, str)


@dataclass(slots=True)
class AttemptSum:
    """What some attempts come to.

    Args:
        cost: what they cost together, in the manager's unit.
        grades: how many of them have a grade.
        grade_sum: the sum of the grades.
        declined: how many were declined.
        rejected: how many were rejected by a review or a vote.
        lost: how many were lost with their worker.
        lost_at: when the last one was lost; None if none was.
    """

    cost: float = 0.0
    grades: int = 0
    grade_sum: float = 0.0
    declined: int = 0
    rejected: int = 0
    lost: int = 0
    lost_at: float | None = None

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
        if attempt.outcome is AttemptOutcome.LOST:
            self.lost += 1
            self.lost_at = attempt.ended_at


@dataclass(slots=True)
class RunSums:
    """What the attempts of a run come to.

    Args:
        run: all attempts.
        by_worker: those of each worker, by name.
    """

    run: AttemptSum = field(default_factory=AttemptSum)
    by_worker: defaultdict[str, AttemptSum] = field(default_factory=lambda: defaultdict(AttemptSum))


def sum_attempts(records: Iterable[TaskRecord]) -> RunSums:
    """Sum the attempts at some tasks."""
    sums = RunSums()
    for record in records:
        attempts: Sequence[Attempt] = record.attempts
        for attempt in attempts:
            sums.run.add(attempt)
            sums.by_worker[attempt.worker.name].add(attempt)
    return sums


def group_tasks(
    records: Iterable[TaskRecord], group_of: Callable[[TaskRecord], _Group]
) -> dict[_Group, GroupReport]:
    """Sum up the tasks of each group, such as a type.

    Args:
        records: the tasks.
        group_of: which group a task belongs to.

    Returns:
        The groups, in ascending order.
    """
    tasks: Counter[_Group] = Counter()
    completed: Counter[_Group] = Counter()
    sums: defaultdict[_Group, AttemptSum] = defaultdict(AttemptSum)
    for record in records:
        group = group_of(record)
        tasks[group] += 1
        completed[group] += record.status is TaskStatus.COMPLETED
        attempts: Sequence[Attempt] = record.attempts
        for attempt in attempts:
            sums[group].add(attempt)
    return {
        group: GroupReport(
            tasks=count,
            completed=completed[group],
            success_rate=completed[group] / count,
            cost=sums[group].cost,
            quality=sums[group].quality,
        )
        for group, count in sorted(tasks.items())
    }


def cost_of(record: TaskRecord) -> float:
    """What the attempts at a task cost together, in the manager's unit."""
    attempts: Sequence[Attempt] = record.attempts
    return sum(attempt.cost for attempt in attempts)
