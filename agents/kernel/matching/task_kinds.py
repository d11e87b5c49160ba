"""What each worker is worth for each kind of task: tables that follow the scorecards and prices."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING

from ....messages import Task
from ..model.decision import WorkerFigures
from .declared_skills import is_declared_able
from .policies import MatchingPolicy, find_obstacle
from .prices import TimePrice
from .type_figures import TypeFigures

if TYPE_CHECKING:
    from ..model.records import WorkerRecord

NEXT_ATTEMPT = 0.7
"""What the next attempt at a task is worth, as a part of the best first attempt: a task that has
failed is likely to be a hard one, and its time is lost."""

SPEED = 0.01
"""How much value a worker loses for each time that it takes as long as the fastest."""

HOPELESS = 0.25
"""Below this chance of success a worker loses more value than its chance alone says: an attempt
that is likely to fail uses up a task, however busy the others are."""

HOPELESS_LOSS = 0.5
"""How much more value it loses at no chance at all."""

UNEVEN_PACE = 2.0
"""Workers whose paces differ more are not alike, whatever skills they declare."""

RESULTS_OF_A_PACE = 3
"""How many results of a worker show its pace; one may come from an unusually long task."""

_NAMED_OTHERS = 2
BLOCKED = 10.0
"""How much less a worker is worth for a type of task that it keeps failing."""


class Crew:
    """The connected workers that may get tasks, with the prices of their time.

    Args:
        workers: the workers in their order.
        prices: the prices, by worker.
    """

    __slots__ = ("index", "names", "per_s", "prices", "workers")

    def __init__(self, workers: Sequence[WorkerRecord], prices: list[TimePrice]) -> None:
        self.workers = workers
        self.prices = prices
        self.index = {worker: index for index, worker in enumerate(workers)}
        self.names = [worker.name for worker in workers]
        self.per_s = [price.per_s for price in prices]
        """What a second of each worker's time is worth, by the index of the worker."""


class TaskKind:
    """What each worker is worth for tasks of one kind: of one type, difficulty and so on.

    All lists are by the index of the worker.

    Args:
        task: one of the tasks.
        may_retry: whether another attempt follows a failed one.
        figures: what the workers have shown with the type.
        policy: whose obstacles count.
        thrift: how much of a success one unit of cost is worth.
    """

    __slots__ = (
        "_crew",
        "_fastest_s",
        "_next",
        "_next_index",
        "_next_other",
        "_told",
        "able",
        "best",
        "best_index",
        "chances",
        "declared",
        "demand",
        "figures",
        "gross",
        "is_dropped",
        "is_uneven",
        "may_retry",
        "mean_s",
        "price_version",
        "recent",
        "seconds",
        "stale",
        "task",
        "thrift",
        "values",
        "worker_indices",
    )

    def __init__(
        self,
        task: Task,
        crew: Crew,
        *,
        may_retry: bool,
        figures: TypeFigures,
        policy: MatchingPolicy,
        thrift: float,
    ) -> None:
        self.task = task
        self.may_retry = may_retry
        self.figures = figures
        self.thrift = thrift
        self.recent = 0.0
        """How many of these tasks were handed out lately; it fades."""
        self.demand = 0.0
        """How many of these tasks there are to do, with those handed out lately."""
        self.stale: set[int] = set()
        """The workers whose figures have changed."""
        self.is_dropped = False
        self._crew = crew
        workers = crew.workers
        count = len(workers)
        self.worker_indices = [
            index
            for index, worker in enumerate(workers)
            if find_obstacle(policy, task, worker) is None
        ]
        self.able = frozenset([workers[index] for index in self.worker_indices])
        self.gross = [0.0] * count
        self.chances = [0.0] * count
        self.values = [-inf] * count
        self.declared = [is_declared_able(task, worker) for worker in workers]
        self.seconds = figures.seconds
        self.price_version = -1
        self.best, self.best_index = -inf, -1
        # What the next attempt is worth at the worker that is best for it, which worker that is,
        # and what it is worth at another one: nobody tries again what it has failed.
        self._next = self._next_other = 0.0
        self._next_index = -1
        self._told: dict[int, tuple[WorkerFigures, ...]] = {}
        self._fastest_s = self.mean_s = 1.0
        self.is_uneven = False
        self.update_all()

    def drop(self) -> None:
        """Mark it as not followed any more, and as not up to date."""
        self.is_dropped = True
        self.price_version = -1

    def export(self) -> list[float]:
        """What `restore` needs."""
        if self.stale:
            self.update_stale()
        return [
            self.recent,
            self._fastest_s,
            self.mean_s,
            float(self.is_uneven),
            self._next,
            self._next_other,
            float(self._next_index),
        ]

    def restore(self, state: Sequence[float]) -> None:
        """Continue with what `export` returned."""
        self.recent, self._fastest_s, self.mean_s, is_uneven, *follows = state
        self.is_uneven = bool(is_uneven)
        self._next, self._next_other, next_index = follows
        self._next_index = int(next_index)
        for index in self.worker_indices:
            self._appraise(index)
        self.reprice(self.price_version)

    def update_all(self) -> None:
        """Follow the figures of all workers."""
        self.stale.clear()
        indices = self.worker_indices
        if not indices:
            return
        seconds = [self.seconds[index] for index in indices]
        self._fastest_s = min(seconds)
        self.mean_s = sum(seconds) / len(seconds)
        results = self.figures.results
        shown_s = [
            self.seconds[index]
            for index in indices
            if self.declared[index] and results[index] >= RESULTS_OF_A_PACE
        ]
        self.is_uneven = bool(shown_s) and max(shown_s) > UNEVEN_PACE * min(shown_s)
        for index in indices:
            self.chances[index] = self.figures.chance(index, self.task)
        if self.may_retry:
            self._value_next()
        for index in indices:
            self._appraise(index)
        self.reprice(self.price_version)

    def follow(self, index: int, chances: dict[float, float]) -> None:
        """Follow the figures of one worker, and of those that changed before.

        Args:
            index: the worker.
            chances: by difficulty, its chances with tasks of the type; others are added.
        """
        if self.stale or self._are_most(1):
            self.stale.add(index)
            self.update_stale()
            return
        values = self.values
        if values[index] > -inf:
            task = self.task
            difficulty = None if task.required_skills else task.difficulty
            chance = chances.get(difficulty) if difficulty is not None else None
            if chance is None:
                chance = self.figures.chance(index, task)
                if difficulty is not None:
                    chances[difficulty] = chance
            self.chances[index] = chance
            self._appraise(index)
            self._price(index)
            if index == self.best_index or values[index] >= self.best:
                self._find_best()
                return
        # Somebody else is still the best.
        self._told.clear()

    def update_stale(self) -> None:
        """Follow the figures of the workers that have changed."""
        if self._are_most(len(self.stale)):
            self.update_all()
            return
        values, best_index = self.values, self.best_index
        is_same = True
        for index in self.stale:
            if values[index] > -inf:
                self.chances[index] = self.figures.chance(index, self.task)
                self._appraise(index)
                self._price(index)
                if index == best_index or values[index] >= self.best:
                    is_same = False
        self.stale.clear()
        if is_same:
            # Somebody else is still the best.
            self._told.clear()
        else:
            self._find_best()

    def _are_most(self, changed: int) -> bool:
        """Whether so many workers have changed that all are looked at."""
        return changed * 2 >= len(self.worker_indices)

    def reprice(self, price_version: int) -> None:
        """Follow the prices.

        Args:
            price_version: the version of the prices.
        """
        self.price_version = price_version
        gross, seconds, values = self.gross, self.seconds, self.values
        per_s, probation = self._crew.per_s, self.figures.on_probation
        for index in self.worker_indices:
            values[index] = gross[index] - per_s[index] * seconds[index]
        for index in probation:
            if values[index] > -inf:
                values[index] -= BLOCKED
        self._find_best()

    def figures_for(self, chosen: int) -> tuple[WorkerFigures, ...]:
        """What is expected of a worker and of the best others, that worker first."""
        told = self._told.get(chosen)
        if told is None:
            values = self.values.copy()
            named = [chosen]
            values[chosen] = -inf
            while len(named) <= _NAMED_OTHERS:
                best = max(values)
                if best == -inf:
                    break
                index = values.index(best)
                named.append(index)
                values[index] = -inf
            told = self._told[chosen] = tuple([self._figures(index) for index in named])
        return told

    def _figures(self, index: int) -> WorkerFigures:
        figures = self.figures
        return WorkerFigures(
            self._crew.workers[index].name,
            self.chances[index],
            figures.skills[index],
            figures.deviations[index],
            figures.results[index],
            self.seconds[index],
            self._crew.per_s[index],
            figures.costs[index],
            self.values[index],
        )

    @property
    def is_drawn(self) -> bool:
        """Whether costs count, so that workers are tried that would get no tasks otherwise."""
        costs = self.figures.costs
        return (
            self.thrift > 0.0
            and not self.task.required_skills
            and any(costs[index] != costs[self.best_index] for index in self.worker_indices)
        )

    def _value_next(self) -> None:
        chances, costs, thrift = self.chances, self.figures.costs, self.thrift
        self._next = self._next_other = -inf
        for index in self.worker_indices:
            value = NEXT_ATTEMPT * chances[index] - thrift * costs[index]
            if value > self._next:
                self._next_other, self._next = self._next, value
                self._next_index = index
            elif value > self._next_other:
                self._next_other = value
        if self._next_other == -inf:
            self._next_other = self._next

    def gross_with(self, index: int, chance: float) -> float:
        """What a worker is worth before the price of its time, if this were its chance."""
        gross = (
            chance
            + (1.0 - chance) * (self._next_other if index == self._next_index else self._next)
            - self.thrift * self.figures.costs[index]
            - SPEED * self.seconds[index] / self._fastest_s
        )
        return gross if chance >= HOPELESS else gross - HOPELESS_LOSS * (1.0 - chance / HOPELESS)

    def _appraise(self, index: int) -> None:
        self.gross[index] = self.gross_with(index, self.chances[index])

    def _price(self, index: int) -> None:
        value = self.gross[index] - self._crew.per_s[index] * self.seconds[index]
        if index in self.figures.on_probation:
            value -= BLOCKED
        self.values[index] = value

    def _find_best(self) -> None:
        self._told.clear()
        values = self.values
        self.best = best = max(values, default=-inf)
        self.best_index = values.index(best) if best > -inf else -1
