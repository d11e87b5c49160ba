"""Finds the task for a worker that is the only free one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import TYPE_CHECKING

from .hold_rule import TOLERANCE, relaxed_per_s
from .learning_policy import WaitingHead, WaitingTasks
from .market import Market
from .task_kinds import TaskKind

if TYPE_CHECKING:
    from ..model.records import WorkerRecord

LONGEST_BONUS = 0.3
"""How much a task's waiting counts at most when tasks compete for a worker, as a value."""

LOAD = 0.01
"""How much value a worker loses if all its slots are in use, so that equals share the work."""

AT_ONCE = 1e-9
"""A shorter time or a smaller loss is none."""


class OnlyFreeWorker:
    """Finds the task for a worker that is the only free one, as choosing among pairs would.

    Args:
        market: the kinds of work and what workers are worth for them.
        wake: is told when a task that is held back may go to another worker.
    """

    def __init__(self, market: Market, wake: Callable[[float, WaitingTasks], None]) -> None:
        self._market = market
        self._wake = wake
        # What each worker last got; bounded by the workers.
        self._favourites: dict[WorkerRecord, tuple[int, int, WaitingHead]] = {}

    def forget(self) -> None:
        """Look for all tasks anew."""
        self._favourites.clear()

    def find(
        self,
        heads: Sequence[WaitingHead],
        level: float,
        worker: WorkerRecord,
        waiting: WaitingTasks,
        now: float,
    ) -> WaitingHead | None:
        """The best task for the worker; None if all tasks had better wait.

        Args:
            heads: the tasks.
            level: the level of those that count.
            worker: the only free worker.
            waiting: the tasks and workers to choose from.
            now: the time in seconds of the board.
        """
        market = self._market
        for changed in market.changed:
            self._favourites.pop(changed, None)
        market.changed.clear()
        epoch, version = market.epoch, waiting.version
        favourite = self._favourites.get(worker)
        if (
            favourite is not None
            and favourite[0] == epoch
            and favourite[1] == version
            and favourite[2].count
            and favourite[2].level == level
        ):
            return favourite[2]
        nearest = self._nearest(heads, level, worker, now)
        found = self._best_head(nearest, worker, waiting, now)
        if found is None:
            current = [head for head in heads if head.count and head.level == level]
            if len(nearest) < len(current):
                found = self._best_head(current, worker, waiting, now)
        if found is not None:
            self._favourites[worker] = (epoch, version, found)
        return found

    def _nearest(
        self, heads: Sequence[WaitingHead], level: float, worker: WorkerRecord, now: float
    ) -> Sequence[WaitingHead]:
        """The tasks from which the next one for a worker comes, unless all of them are held back.

        The others have so much more loss that their waiting does not make up for it.
        """
        market = self._market
        kind_of, place, priced = market.kind_of, market.crew.index[worker], market.price_version
        least = limit = inf
        nearest: WaitingHead | None = None
        # Those that were near enough when they were looked at.
        near: list[tuple[float, WaitingHead]] = []
        for head in heads:
            if head.level != level or not head.count:
                continue
            kind = head.notes
            # A kind that was dropped has no price version.
            if type(kind) is not TaskKind or kind.price_version != priced or kind.stale:
                kind = kind_of(head)
            if head.able is kind.able:
                loss = kind.best - kind.values[place]
                if loss > limit:
                    continue
                if loss < least and loss > -inf:
                    least, nearest = loss, head
                    limit = loss + LONGEST_BONUS
            else:
                # What others than the usual workers may run is looked at in any case.
                loss = -inf
            near.append((loss, head))
        if nearest is not None:
            bonus = relaxed_per_s(kind_of(nearest)) * (now - nearest.waits_since)
            limit = least + LONGEST_BONUS - min(bonus, LONGEST_BONUS)
        return [head for loss, head in near if loss <= limit]

    def _best_head(
        self,
        heads: Sequence[WaitingHead],
        worker: WorkerRecord,
        waiting: WaitingTasks,
        now: float,
    ) -> WaitingHead | None:
        """The best task for the only free worker, as `_best_pair` finds it; None to wait."""
        market = self._market
        kind_of, place = market.kind_of, market.crew.index[worker]
        load = LOAD * worker.taken / worker.slots
        least, best = inf, None
        for head in heads:
            able = head.able
            if worker not in able:
                continue
            kind = kind_of(head)
            value = kind.values[place] - load
            if place in kind.figures.on_probation:
                value += market.probe_bonus(kind, worker, now)
            loss = (kind.best if able is kind.able else market.best_value(kind, head)) - value
            if not loss < inf:
                # It is addressed to a worker that could not run it otherwise.
                loss = 0.0
            growth_per_s = relaxed_per_s(kind)
            bonus = growth_per_s * (now - head.waits_since)
            if loss <= TOLERANCE + bonus + AT_ONCE:
                loss -= min(bonus, LONGEST_BONUS)
                if loss < least:
                    least, best = loss, head
            else:
                self._wake(head.waits_since + (loss - TOLERANCE) / growth_per_s, waiting)
        return best
