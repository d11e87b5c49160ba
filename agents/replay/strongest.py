"""Estimates what a run would have cost if the strongest worker had done every task."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from ...messages import Task, TaskId, TaskStatus
from ..kernel.board.state import BoardState
from ..kernel.matching.scorecards.skill_model import REMEMBERED
from ..kernel.model.records import AttemptOutcome, TaskRecord, WorkerRecord
from .expected_outcomes import ExpectedOutcomes
from .recorded_run import RecordedAttempt, recorded_in_store

MAX_CHECKED_PER_TASK = 10
"""So many times more tasks than wanted are looked at to find settled ones."""

_TASKS_COMPARED_OF_TYPE = 20
"""For how many tasks of a type the chances of its workers are compared."""

_ENOUGH_COSTS = 5
"""With fewer costs at a type, those at all types tell how much they differ."""

_DRAWS = 1_000
"""How many draws the range of the costs follows from."""

_MAX_RIVALS = 20
"""How many workers, the best ones, may be the strongest."""

_PRIOR_RESULTS = 10.0
"""How many results it counts as that the workers of a team are alike."""

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
        cost_from: what they cost at least: the range from it to `cost_to` holds the truth in 90 %
            of all runs, whoever really is the strongest.
        cost_to: what they cost at most.
        certainty: how certain it is that these workers are the strongest, 0 to 1.
        attempts: how many attempts it is expected to need.
        seen_attempts: how many of them were seen in the run, so that their cost is known.
    """

    tasks: int
    completed: int
    cost: float
    workers: Mapping[str, str]
    strongest_completed: int
    strongest_cost: float
    cost_from: float
    cost_to: float
    certainty: float
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
    by_worker: defaultdict[str, list[RecordedAttempt]] = defaultdict(list)
    by_task: defaultdict[TaskId, list[RecordedAttempt]] = defaultdict(list)
    for each in recorded.attempts:
        by_worker[each.worker].append(each)
        by_task[each.task_id].append(each)
    if len(by_worker) <= 1:
        return None
    by_type: defaultdict[str, list[Task]] = defaultdict(list)
    for record in records:
        if record.task_id in by_task:
            by_type[record.task.type].append(recorded.tasks[record.task_id])
    workers = [board.workers[name] for name in by_worker if name in board.workers]
    expected = _Expected(ExpectedOutcomes(recorded), by_worker, by_type)
    ranked = sorted(workers, key=expected.rank, reverse=True)
    weights = [(len(by_worker[each.name]), expected.strength(each)) for each in workers]
    expected.usual_strength = sum(n * s for n, s in weights) / sum(n for n, _ in weights)
    # The types that the same workers may do have the same strongest worker.
    groups: defaultdict[tuple[WorkerRecord, ...], list[str]] = defaultdict(list)
    for task_type in by_type:
        able = tuple(worker for worker in ranked if _may_do(worker, task_type))
        if able:
            groups[able[:_MAX_RIVALS]].append(task_type)
    named = [expected.total(able[0], types) for able, types in groups.items()]
    strongest_cost = sum(each.cost for each in named)
    if not strongest_cost:
        return None
    drawn, certainty = _draw_costs(expected, groups)
    tasks = [task for types in groups.values() for each in types for task in by_type[each]]
    return StrongestEstimate(
        tasks=len(tasks),
        completed=sum(board.tasks[task.id].status is TaskStatus.COMPLETED for task in tasks),
        cost=sum(each.cost for task in tasks for each in by_task[task.id]),
        workers={each: able[0].name for able, types in groups.items() for each in types},
        strongest_completed=sum(each.completed for each in named),
        strongest_cost=strongest_cost,
        cost_from=min(drawn[len(drawn) // 20], strongest_cost),
        cost_to=max(drawn[-1 - len(drawn) // 20], strongest_cost),
        certainty=certainty,
        attempts=sum(each.attempts for each in named),
        seen_attempts=sum(each.seen_attempts for each in named),
    )


def _draw_costs(
    expected: _Expected, groups: Mapping[tuple[WorkerRecord, ...], Sequence[str]]
) -> tuple[list[float], float]:
    """What the strongest worker may have cost, smallest first, and how certain it is who that is.

    Each draw first says how good each worker is, then who is the strongest, and then what that one
    costs. The seed is always the same, so the same run has the same draws.
    """
    chance = random.Random("strongest")  # noqa: S311 - no secret
    rivals = dict.fromkeys(worker for able in groups for worker in able)
    drawn: list[float] = []
    as_named = 0
    for _ in range(_DRAWS):
        strengths = {each.name: expected.draw_strength(each, chance) for each in rivals}
        total = 0.0
        is_as_named = True
        for able, types in groups.items():
            strongest = max(able, key=lambda worker: strengths[worker.name])
            is_as_named = is_as_named and strongest is able[0]
            of_types = expected.total(strongest, types)
            total += of_types.draw(chance)
        drawn.append(total)
        as_named += is_as_named
    return sorted(drawn), as_named / _DRAWS


class _Total(NamedTuple):
    """What a worker is expected to need for all tasks of some types."""

    completed: int
    cost: float
    deviation: float
    attempts: int
    seen_attempts: int
    seen_cost: float
    known_costs: int

    def draw(self, chance: random.Random) -> float:
        """What they may really cost, by Student's distribution: few costs tell little."""
        freedom = max(self.known_costs - 1, 1)
        scale = math.sqrt(chance.gammavariate(freedom / 2, 2 / freedom))
        off = self.deviation * chance.gauss(0.0, 1.0) / max(scale, 1e-9)
        return max(self.cost + off, self.seen_cost)


@dataclass(slots=True)
class _Expected:
    """What is expected of each worker, had it done every task."""

    outcomes: ExpectedOutcomes
    by_worker: Mapping[str, Sequence[RecordedAttempt]]
    by_type: Mapping[str, Sequence[Task]]
    usual_strength: float = 0.5
    _totals: dict[tuple[str, str], _Total] = field(default_factory=dict[tuple[str, str], _Total])
    _strengths: dict[str, float] = field(default_factory=dict[str, float])

    def rank(self, worker: WorkerRecord) -> tuple[float, int, float, str]:
        """What is higher for stronger workers.

        Of equal ones, the one that declares more skill comes first, and then the dearer one.
        """
        cost = worker.stats.cost / max(worker.stats.completed_tasks, 1)
        return round(self.strength(worker), 6), worker.skill_level, cost, worker.name

    def strength(self, worker: WorkerRecord) -> float:
        """Its mean chance of success at the tasks that it may do."""
        known = self._strengths.get(worker.name)
        if known is not None:
            return known
        chances = [
            (len(tasks), _mean_chance(worker, tasks, self.outcomes))
            for task_type, tasks in self.by_type.items()
            if _may_do(worker, task_type)
        ]
        count = sum(each for each, _ in chances)
        mean = sum(each * chance for each, chance in chances) / count if count else 0.0
        self._strengths[worker.name] = mean
        return mean

    def draw_strength(self, worker: WorkerRecord, chance: random.Random) -> float:
        """What its mean chance of success may really be."""
        # Older results count less and less for the expectation.
        results = min(len(self.by_worker[worker.name]), REMEMBERED)
        good = results * self.strength(worker) + _PRIOR_RESULTS * self.usual_strength
        bad = results + _PRIOR_RESULTS - good
        return chance.betavariate(max(good, 0.01), max(bad, 0.01))

    def total(self, worker: WorkerRecord, types: Iterable[str]) -> _Total:
        """What it is expected to need for all tasks of some types."""
        totals = [self._of_type(worker, each) for each in types]
        deviation = math.sqrt(sum(each.deviation**2 for each in totals))
        return _Total(
            completed=sum(each.completed for each in totals),
            cost=sum(each.cost for each in totals),
            deviation=deviation,
            attempts=sum(each.attempts for each in totals),
            seen_attempts=sum(each.seen_attempts for each in totals),
            seen_cost=sum(each.seen_cost for each in totals),
            known_costs=len(self.by_worker[worker.name]),
        )

    def _of_type(self, worker: WorkerRecord, task_type: str) -> _Total:
        known = self._totals.get((worker.name, task_type))
        if known is None:
            known = self._totals[worker.name, task_type] = self._expect(worker, task_type)
        return known

    def _expect(self, worker: WorkerRecord, task_type: str) -> _Total:
        """Let it do the tasks of a type."""
        own, tasks = self.by_worker[worker.name], self.by_type[task_type]
        ids = {task.id: task for task in tasks}
        at_type = [each for each in own if each.task_id in ids]
        costs = [each.cost for each in (at_type if len(at_type) >= _ENOUGH_COSTS else own)]
        completed, seen_attempts, seen_cost = 0, 0, 0.0
        # By how many attempts are left: the tasks that it was not seen to complete.
        unseen: defaultdict[int, list[Task]] = defaultdict(list)
        for task in tasks:
            seen = min(self.outcomes.times_seen(task, worker), task.max_attempts)
            for _ in range(seen):
                outcome = self.outcomes.next(task, worker)
                seen_attempts += 1
                seen_cost += outcome.cost
                if outcome.is_success:
                    completed += 1
                    break
            else:
                unseen[task.max_attempts - seen].append(task)
        unseen.pop(0, None)
        left = {number: len(each) for number, each in unseen.items()}
        chance = 1.0
        if left:
            missed = [task for each in unseen.values() for task in each]
            tried = [
                (ids[e.task_id], e) for e in at_type if e.outcome is not AttemptOutcome.DECLINED
            ]
            chance = self._chance_at(worker, missed, tried)
        attempts = _attempts(left, chance)
        usual_cost = math.fsum(costs) / len(costs)
        cost = seen_cost + attempts * usual_cost
        variance = _variance(left, costs, chance, len(at_type))
        # What is left of equal costs is a rounding error.
        deviation = math.sqrt(variance) if variance > (1e-9 * cost) ** 2 else 0.0
        sure = sum(count * (1 - (1 - chance) ** number) for number, count in left.items())
        return _Total(
            completed + round(sure),
            cost,
            deviation,
            seen_attempts + round(attempts),
            seen_attempts,
            seen_cost=seen_cost,
            known_costs=len(own),
        )

    def _chance_at(
        self,
        worker: WorkerRecord,
        tasks: Sequence[Task],
        seen: Sequence[tuple[Task, RecordedAttempt]],
    ) -> float:
        """Its mean chance of success at tasks of a type.

        What scorecards expect fades and is cautious, so it is corrected by as much as it was wrong
        at the attempts that were seen.
        """
        good = sum(each.outcome is AttemptOutcome.SUCCEEDED for _, each in seen)
        expected = 0.0
        if seen:
            expected = _mean_chance(worker, [task for task, _ in seen], self.outcomes) * len(seen)
        off = (good - expected) / (len(seen) + _UNSETTLING_SHARE)
        return min(max(_mean_chance(worker, tasks, self.outcomes) + off, 0.01), 1.0)


def _attempts(left: Mapping[int, int], chance: float) -> float:
    """How many attempts are expected.

    Args:
        left: how many tasks have how many attempts left.
        chance: the chance that one of them succeeds.
    """
    return sum(count * (1 - (1 - chance) ** number) / chance for number, count in left.items())


def _variance(left: Mapping[int, int], costs: Sequence[float], chance: float, seen: int) -> float:
    """The variance of what the unseen attempts of a worker at a type cost together.

    Args:
        left: how many tasks have how many attempts left.
        costs: what the worker's seen attempts have cost.
        chance: its chance of success.
        seen: from how many results that is known.
    """
    attempts, mean = _attempts(left, chance), math.fsum(costs) / len(costs)
    # One cost says nothing about how much they differ.
    spread = mean**2
    if len(costs) > 1:
        spread = sum((each - mean) ** 2 for each in costs) / (len(costs) - 1)
    # Each attempt's cost differs, and so may the mean that was seen from the true one.
    variance = attempts * spread + attempts**2 * spread / len(costs)
    # The number of attempts at each task differs, and the chance itself is uncertain.
    for number, count in left.items():
        squares = sum((2 * n + 1) * (1 - chance) ** n for n in range(number))
        variance += mean**2 * count * max(squares - _attempts({number: 1}, chance) ** 2, 0.0)
    unsure = math.sqrt(chance * (1 - chance) / (seen + _UNSETTLING_SHARE)) + 1e-9
    lower, upper = max(chance - unsure, 0.01), min(chance + unsure, 1.0)
    slope = (_attempts(left, upper) - _attempts(left, lower)) / max(upper - lower, 1e-9)
    return variance + (mean * slope * unsure) ** 2


def _may_do(worker: WorkerRecord, task_type: str) -> bool:
    return worker.task_types is None or task_type in worker.task_types


def _mean_chance(worker: WorkerRecord, tasks: Sequence[Task], outcomes: ExpectedOutcomes) -> float:
    sample = tasks[:: -(-len(tasks) // _TASKS_COMPARED_OF_TYPE)]
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
