"""Estimates what a run would have cost if the strongest worker had done every task."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from ...messages import Task, TaskId, TaskStatus
from ..kernel.board.state import BoardState
from ..kernel.model.records import TaskRecord, WorkerRecord
from .expected_outcomes import ExpectedOutcomes
from .recorded_run import RecordedAttempt, recorded_in_store

MAX_CHECKED_PER_TASK = 10
"""So many times more tasks than wanted are looked at to find settled ones."""

_TASKS_COMPARED_OF_TYPE = 20
"""For how many tasks of a type the chances of its workers are compared."""

_ENOUGH_COSTS = 5
"""With fewer costs at a type, those at all types tell how much they differ."""

_UNSETTLING_SHARE = 2.0
"""What a worker without failures still counts as, so that its chance is not taken as certain."""


class StrongestEstimate(NamedTuple):
    """What a run has cost, and what it would have if the strongest worker had done every task.

    The strongest worker of a type is the one with the best chance of success, by the results of
    the run. It tries a task until it succeeds or has no attempts left. Reviews count on neither
    side.

    Args:
        tasks: how many settled tasks are compared: the latest.
        completed: how many of them were completed.
        cost: what the attempts at them cost.
        workers: the strongest worker of each type.
        strongest_completed: how many it is expected to complete.
        strongest_cost: what its attempts are expected to cost.
        deviation: the standard deviation of that.
        attempts: how many attempts it is expected to need.
        seen_attempts: how many of them were seen in the run, so that their cost is known.
    """

    tasks: int
    completed: int
    cost: float
    workers: Mapping[str, str]
    strongest_completed: int
    strongest_cost: float
    deviation: float
    attempts: int
    seen_attempts: int

    @property
    def saved(self) -> float:
        """What the run has saved; below 0 if it cost more."""
        return self.strongest_cost - self.cost


def estimate_strongest(board: BoardState, max_tasks: int) -> StrongestEstimate | None:
    """Estimate it from the run's own outcomes, as a replay does.

    Args:
        board: the run, which may go on.
        max_tasks: how many tasks to compare at most.

    Returns:
        The estimate; None if no attempt has cost anything, or only one worker has done anything.
    """
    if not board.budget.spent:
        return None
    records = _latest_settled(board, max_tasks)
    recorded = recorded_in_store(board, records)
    if len({each.worker for each in recorded.attempts}) <= 1:
        return None
    outcomes = ExpectedOutcomes(recorded)
    attempts: defaultdict[TaskId, list[RecordedAttempt]] = defaultdict(list)
    for each in recorded.attempts:
        attempts[each.task_id].append(each)
    by_type: defaultdict[str, list[Task]] = defaultdict(list)
    for record in records:
        if record.task_id in attempts:
            by_type[record.task.type].append(record.task)
    names = {attempt.worker for attempt in recorded.attempts}
    workers = [board.workers[name] for name in names if name in board.workers]
    ranked = _rank(workers, by_type, outcomes)
    costs: defaultdict[str, list[float]] = defaultdict(list)
    for each in recorded.attempts:
        costs[each.worker].append(each.cost)
    estimate = _Summing(outcomes, costs)
    for task_type, tasks in by_type.items():
        tried = [attempt for task in tasks for attempt in attempts[task.id]]
        strongest = next((worker for worker in ranked if _may_do(worker, task_type)), None)
        if strongest is None:
            continue
        estimate.add_type(task_type, tasks, tried, strongest)
        estimate.completed += sum(
            board.tasks[task.id].status is TaskStatus.COMPLETED for task in tasks
        )
    return estimate.result() if estimate.strongest_cost else None


@dataclass(slots=True)
class _Summing:
    outcomes: ExpectedOutcomes
    costs: Mapping[str, Sequence[float]]
    tasks: int = 0
    completed: int = 0
    cost: float = 0.0
    workers: dict[str, str] = field(default_factory=dict[str, str])
    strongest_completed: int = 0
    strongest_cost: float = 0.0
    variance: float = 0.0
    attempts: int = 0
    seen_attempts: int = 0

    def add_type(
        self,
        task_type: str,
        tasks: Sequence[Task],
        tried: Sequence[RecordedAttempt],
        strongest: WorkerRecord,
    ) -> None:
        """Add the tasks of a type, as its strongest worker would have done them."""
        unseen: list[Task] = []
        unseen_cost, unseen_attempts = 0.0, 0
        for task in tasks:
            is_seen = True
            for _ in range(task.max_attempts):
                outcome = self.outcomes.next(task, strongest)
                is_seen = outcome.is_seen
                self.attempts += 1
                self.seen_attempts += is_seen
                self.strongest_cost += outcome.cost
                if not is_seen:
                    unseen_attempts += 1
                    unseen_cost += outcome.cost
                if outcome.is_success:
                    self.strongest_completed += 1
                    break
            if not is_seen:
                unseen.append(task)
        self.tasks += len(tasks)
        self.cost += sum(each.cost for each in tried)
        self.workers[task_type] = strongest.name
        if unseen:
            chance = _mean_chance(strongest, unseen, self.outcomes)
            costs: Sequence[float] = [each.cost for each in tried if each.worker == strongest.name]
            if len(costs) < _ENOUGH_COSTS:
                costs = self.costs[strongest.name]
            may_retry = any(task.max_attempts > 1 for task in unseen)
            self.variance += _variance(
                len(unseen), unseen_attempts, unseen_cost, costs, chance, may_retry=may_retry
            )

    def result(self) -> StrongestEstimate:
        return StrongestEstimate(
            self.tasks,
            self.completed,
            self.cost,
            self.workers,
            self.strongest_completed,
            self.strongest_cost,
            # What is left of equal costs is a rounding error.
            math.sqrt(self.variance) if self.variance > (1e-9 * self.strongest_cost) ** 2 else 0.0,
            self.attempts,
            self.seen_attempts,
        )


def _variance(
    tasks: int,
    attempts: int,
    cost: float,
    seen_costs: Sequence[float],
    chance: float,
    *,
    may_retry: bool,
) -> float:
    """The variance of what the unseen attempts of a worker at a type cost together.

    Args:
        tasks: how many tasks these attempts are at.
        attempts: how many attempts are expected.
        cost: what they are expected to cost.
        seen_costs: what the worker's attempts at the type have cost.
        chance: its chance of success.
        may_retry: whether a failed attempt is followed by another.
    """
    seen, mean = len(seen_costs), cost / attempts
    center = math.fsum(seen_costs) / seen
    # One cost says nothing about how much they differ.
    spread = sum((each - center) ** 2 for each in seen_costs) / (seen - 1) if seen > 1 else mean**2
    # Each attempt's cost differs, and so may the mean that was seen from the true one.
    variance = attempts * spread + attempts**2 * spread / seen
    if may_retry:
        failing = 1 - chance
        # The number of attempts at each task differs, and the chance itself is uncertain.
        variance += mean**2 * tasks * failing / chance**2
        slope = tasks * mean / chance**2
        variance += slope**2 * chance * failing / (seen + _UNSETTLING_SHARE)
    return variance


def _rank(
    workers: Iterable[WorkerRecord],
    by_type: Mapping[str, Sequence[Task]],
    outcomes: ExpectedOutcomes,
) -> list[WorkerRecord]:
    """The workers, the strongest first: by the mean chance at the tasks that they may do.

    Of equal ones, the one that declares more skill comes first, and then the dearer one.
    """

    def strength(worker: WorkerRecord) -> tuple[float, int, float, str]:
        chances = [
            (len(tasks), _mean_chance(worker, tasks, outcomes))
            for task_type, tasks in by_type.items()
            if _may_do(worker, task_type)
        ]
        count = sum(each for each, _ in chances)
        mean = sum(each * chance for each, chance in chances) / count if count else 0.0
        cost = worker.stats.cost / max(worker.stats.completed_tasks, 1)
        return round(mean, 6), worker.skill_level, cost, worker.name

    return sorted(workers, key=strength, reverse=True)


def _may_do(worker: WorkerRecord, task_type: str) -> bool:
    return worker.task_types is None or task_type in worker.task_types


def _mean_chance(worker: WorkerRecord, tasks: Sequence[Task], outcomes: ExpectedOutcomes) -> float:
    sample = tasks[:_TASKS_COMPARED_OF_TYPE]
    total = sum(outcomes.chance(task, worker) for task in sample)
    return max(total / len(sample), 1e-3)


def _latest_settled(board: BoardState, max_tasks: int) -> list[TaskRecord]:
    """The latest tasks that were completed or failed, without those that several workers ran."""
    tasks = dict(board.tasks)
    looked_at = islice(reversed(tasks.values()), MAX_CHECKED_PER_TASK * max_tasks)
    settled = (
        record
        for record in looked_at
        if record.attempts
        and record.task.votes == 1
        and record.status in (TaskStatus.COMPLETED, TaskStatus.FAILED)
    )
    return list(islice(settled, max_tasks))
