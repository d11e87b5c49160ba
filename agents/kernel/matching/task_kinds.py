"""What each worker is worth for each kind of task: tables that follow the scorecards and prices."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING

from ....messages import Task
from ..model.decision import WorkerFigures
from .declared_skills import is_declared_able
from .policies import MatchingPolicy, find_obstacle
from .prices import Price
from .scorecards.scorecards import Scorecards

if TYPE_CHECKING:
    from ..model.records import WorkerRecord

NEXT_ATTEMPT = 0.7
"""What the next attempt at a task is worth, as a part of the best first attempt: a task that has
failed is likely to be a hard one, and its time is lost."""

SPEED = 0.01
"""How much value a worker loses for each time that it takes as long as the fastest."""

UNEVEN_PACE = 2.0
"""Workers whose paces differ more are not alike, whatever skills they declare."""

NAMED = 4
"""How many workers have their figures kept with a decision: the chosen one and the best others."""

_BLOCKED = 10.0


class Crew:
    """The connected workers that may get tasks, with the prices of their time.

    Args:
        workers: the workers in their order.
        prices: the prices, by worker.
    """

    __slots__ = ("index", "per_s", "prices", "workers")

    def __init__(self, workers: Sequence[WorkerRecord], prices: list[Price]) -> None:
        self.workers = workers
        self.prices = prices
        self.index = {worker: index for index, worker in enumerate(workers)}
        self.per_s = [price.per_s for price in prices]
        """What a second of each worker's time is worth, by the index of the worker."""


class TaskKind:
    """What each worker is worth for tasks of one kind: of one type, difficulty and so on.

    All lists are by the index of the worker.

    Args:
        task: one of the tasks.
        may_retry: whether another attempt follows a failed one.
    """

    __slots__ = (
        "_cells",
        "_crew",
        "_fastest_s",
        "_next",
        "_scorecards",
        "_thrift",
        "_told",
        "able",
        "best",
        "best_index",
        "chances",
        "costs",
        "declared",
        "demand",
        "gross",
        "is_uneven",
        "may_retry",
        "mean_s",
        "on_probation",
        "price_version",
        "recent",
        "seconds",
        "stale",
        "stamp",
        "task",
        "values",
        "versions",
        "worker_indices",
    )

    def __init__(self, task: Task, *, may_retry: bool) -> None:
        self.task = task
        self.may_retry = may_retry
        self.recent = 0.0
        """How many of these tasks were handed out lately; it fades."""
        self.demand = 0.0
        """How many of these tasks there are to do, with those handed out lately."""
        self.stale: set[int] = set()
        """The workers whose results may have changed what they are worth."""
        self.stamp = 0
        """A number that changes with the values."""

    def meet(
        self, crew: Crew, policy: MatchingPolicy, scorecards: Scorecards, thrift: float
    ) -> None:
        """Make the table anew for other workers.

        Args:
            crew: the workers.
            policy: whose obstacles count.
            scorecards: what the workers have shown.
            thrift: how much of a success one unit of cost is worth.
        """
        self._crew, self._scorecards, self._thrift = crew, scorecards, thrift
        workers, task = crew.workers, self.task
        count = len(workers)
        self.worker_indices = [
            index
            for index, worker in enumerate(workers)
            if find_obstacle(policy, task, worker) is None
        ]
        self.able = frozenset(workers[index] for index in self.worker_indices)
        self.gross = [0.0] * count
        self.seconds = [1.0] * count
        self.costs = [0.0] * count
        self.chances = [0.0] * count
        self.values = [-inf] * count
        self.versions = [-2] * count
        self.declared = [is_declared_able(task, worker) for worker in workers]
        self.on_probation: set[int] = set()
        self._fastest_s = 1.0
        self._next = 0.0
        self._told: dict[int, tuple[WorkerFigures, ...]] = {}
        self.is_uneven = False
        self.mean_s = 1.0
        self.best, self.best_index = -inf, -1
        self.price_version = -1
        self.stale.clear()
        self.update_all()

    def update_all(self) -> None:
        """Follow the scorecards of all workers."""
        version_of, task_type = self._scorecards.version, self.task.type
        workers, versions = self._crew.workers, self.versions
        changed = [
            index
            for index in self.worker_indices
            if version_of(workers[index].name, task_type) != versions[index]
        ]
        self.stale.clear()
        if not changed:
            return
        for index in changed:
            self._look_up(index)
        seconds = [self.seconds[index] for index in self.worker_indices]
        self._fastest_s = min(seconds)
        self.mean_s = sum(seconds) / len(seconds)
        self.is_uneven = self._find_uneven()
        if self.may_retry:
            self._next = NEXT_ATTEMPT * max(self.chances[index] for index in self.worker_indices)
        for index in self.worker_indices:
            self._appraise(index)
        self.reprice(self.price_version)

    def update_stale(self) -> None:
        """Follow the scorecards of the workers that had results."""
        values = self.values
        for index in self.stale:
            self._look_up(index)
            self._appraise(index)
            value = self.gross[index] - self._crew.per_s[index] * self.seconds[index]
            if index in self.on_probation:
                value -= _BLOCKED
            values[index] = value
        self.stale.clear()
        self._find_best()

    def reprice(self, price_version: int) -> None:
        """Follow the prices.

        Args:
            price_version: the version of the prices.
        """
        self.price_version = price_version
        gross, seconds, per_s = self.gross, self.seconds, self._crew.per_s
        values = self.values
        for index in self.worker_indices:
            values[index] = gross[index] - per_s[index] * seconds[index]
        for index in self.on_probation:
            values[index] -= _BLOCKED
        self._find_best()

    def figures_for(self, chosen: int) -> tuple[WorkerFigures, ...]:
        """What is expected of a worker and of the best others, that worker first."""
        told = self._told.get(chosen)
        if told is None:
            values = self.values
            best = sorted(self.worker_indices, key=lambda each: (-values[each], each))[:NAMED]
            named = [chosen, *[each for each in best if each != chosen][: NAMED - 1]]
            told = self._told[chosen] = tuple([self._figures(each) for each in named])
        return told

    def _figures(self, index: int) -> WorkerFigures:
        worker = self._crew.workers[index]
        chance = self._scorecards.chance(worker, self.task)
        return WorkerFigures(
            worker.name,
            round(chance.success, 4),
            round(chance.skill, 2),
            round(chance.deviation, 2),
            chance.results,
            round(self.seconds[index], 6),
            round(self._crew.per_s[index], 6),
            round(self._scorecards.expected_cost(worker, self.task), 6),
            round(self.values[index], 4),
        )

    def _look_up(self, index: int) -> None:
        worker, task, scorecards = self._crew.workers[index], self.task, self._scorecards
        self.chances[index] = scorecards.chance(worker, task).success
        self.seconds[index] = scorecards.expected_s(worker, task)
        if self._thrift:
            self.costs[index] = scorecards.expected_cost(worker, task)
        if scorecards.is_on_probation(worker.name, task.type):
            self.on_probation.add(index)
        else:
            self.on_probation.discard(index)
        self.versions[index] = scorecards.version(worker.name, task.type)

    def _appraise(self, index: int) -> None:
        chance, next_value = self.chances[index], self._next
        self.gross[index] = (
            chance
            + (1.0 - chance) * next_value
            - self._thrift * self.costs[index]
            - SPEED * self.seconds[index] / self._fastest_s
        )

    def _find_best(self) -> None:
        self.stamp += 1
        self._told.clear()
        values = self.values
        self.best = best = max(values, default=-inf)
        self.best_index = values.index(best) if best > -inf else -1

    def _find_uneven(self) -> bool:
        seconds = [self.seconds[index] for index in self.worker_indices if self.declared[index]]
        return bool(seconds) and max(seconds) > UNEVEN_PACE * min(seconds)
