"""The adaptive policy: gives tasks to the workers that will probably do them, and learns who."""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterator, Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING, cast

from ....messages import InvalidInput, Payload, Task
from ....messages.wording import show
from .adaptive_state import (
    KindTasks,
    read_kinds,
    read_prices,
    read_shares,
    write_prices,
)
from .declared_skills import DeclaredSkills
from .learning_policy import Choice, Hold, SettledAttempt, WaitingHead, WaitingTasks
from .policies import BestFit, recovery_score
from .prices import Price, adjust_prices
from .scorecards.scorecards import SHARED_ROW, Scorecards
from .task_kinds import Crew, TaskKind

if TYPE_CHECKING:
    from ..model.records import WorkerRecord

TOLERANCE = 0.02
"""How much less than the best a worker may be worth and still get a task at once, as a value."""

RELAXED_PER_DURATION = 0.03
"""How much this grows while the task waits, for each expected duration of such a task."""

LONGEST_HOLD_S = 600.0
"""How long a task is held back at most, for however good a worker, in seconds."""

GUESS_AFTER_S = 5.0
"""How long a task waits for a worker with the declared skill if none is connected, in seconds. Then
it is tried by whoever is most likely to do it."""

HEADS_AT_ONCE = 64
"""How many groups of waiting tasks are looked at together, the most urgent ones."""

CELLS_PER_EVENT = 16
"""How many cells of the tables are looked at for each event, so that its cost stays bounded."""

FEWEST_EVENTS = 16
"""The least number of events between two adjustments of the prices."""

RECENT_TASKS = 128.0
"""For about how many tasks what was handed out lately counts as demand."""

MAX_KINDS = 1_000
_CATCHES_UP = 40
_FORGOTTEN = 0.05
_AT_ONCE_S = 1e-3

_Pair = tuple[float, int, WaitingHead, "WorkerRecord"]
_best_fit = BestFit()


class AdaptivePolicy:
    """Chooses pairs of a task and a worker by what workers have shown.

    A worker's value for a task is its chance of success, less the price of its time and the cost
    that it causes. The loss of a pair is how much less its value is than that of the best worker,
    free or not. The pairs with the least loss come first. A task is held back while its loss is
    above a tolerance that grows while it waits.

    As long as results agree with the declared skills, it decides as `best_fit` does.

    Args:
        scorecards: what the workers have shown so far; nothing by default.
    """

    name = "adaptive"

    def __init__(self, scorecards: Scorecards | None = None) -> None:
        self.scorecards = scorecards or Scorecards()
        self.declared = DeclaredSkills()
        self._crew = Crew((), [])
        self._prices: dict[str, Price] = {}
        self._kinds: dict[Hashable, TaskKind] = {}
        self._kinds_by_type: dict[str, list[TaskKind]] = {}
        self._thrift = 0.0
        self._wakes_at: float | None = None
        self._price_version = 0
        self._credit = 0.0
        self._backlog = 0
        self._lasted_s = 0.0
        self._adjusted_at: float | None = None
        self._kind_tasks = KindTasks()

    # ------------------------------------------------------------------ as every policy

    def urgency(self, task: Task, sequence: int) -> tuple[float, ...]:
        """By priority, then difficulty, then the order of adding."""
        return (-task.priority, -task.difficulty, sequence)

    def group(self, task: Task) -> Hashable:
        """By what makes a difference to a worker's value."""
        if task.required_skills:
            skills = tuple(sorted(task.required_skills.items()))
            return (task.difficulty, task.max_attempts > 1, skills, task.strict)
        return (task.difficulty, task.max_attempts > 1)

    def obstacle(self, task: Task, worker: WorkerRecord) -> str | None:
        """Too little skill, for a task without a type: such a task is simulated."""
        return None if task.type else _best_fit.obstacle(task, worker)

    def score(self, task: Task, worker: WorkerRecord) -> float:
        """The chance of success."""
        return self.scorecards.chance(worker, task).success

    # ------------------------------------------------------------------ learning

    def learn(self, settled: SettledAttempt) -> None:
        """Note an attempt that has ended."""
        self.scorecards.learn(settled)
        self.declared.learn(settled)
        self._credit += CELLS_PER_EVENT
        index = self._crew.index.get(settled.worker)
        if index is not None:
            for kind in self._kinds_by_type.get(settled.task.type, ()):
                kind.stale.add(index)

    def meet(self, workers: Sequence[WorkerRecord]) -> None:
        """Note which connected workers may get tasks."""
        prices: list[Price] = []
        for worker in workers:
            price = self._prices.get(worker.name)
            if price is None:
                price = self._prices[worker.name] = Price(worker.slots)
            price.slots = worker.slots
            prices.append(price)
        self._crew = Crew(workers, prices)
        for kind in self._kinds.values():
            kind.meet(self._crew, self, self.scorecards, self._thrift)
        self._credit = inf

    def wakes_at(self) -> float | None:
        """When a task that the last `choose` held back may go to another worker."""
        return self._wakes_at

    # ------------------------------------------------------------------ choosing

    def choose(self, waiting: WaitingTasks, now: float) -> Iterator[Choice]:
        """Choose pairs until all that is left had better wait."""
        self.scorecards.settle()
        if waiting.thrift != self._thrift:
            self._thrift = waiting.thrift
            self.meet(self._crew.workers)
        heads = waiting.heads[:HEADS_AT_ONCE]
        if not waiting.is_ahead:
            self._wakes_at = None
            if self._credit >= CELLS_PER_EVENT * FEWEST_EVENTS:
                self._adjust(heads, now)
        free = waiting.free
        start = 0
        while start < len(heads) and free:
            level = heads[start].level
            end = start + 1
            while end < len(heads) and heads[end].level == level:
                end += 1
            yield from self._pair_level(heads[start:end], level, waiting, now)
            start = end

    def _pair_level(
        self, heads: Sequence[WaitingHead], level: float, waiting: WaitingTasks, now: float
    ) -> Iterator[Choice]:
        free = waiting.free
        pairs: list[_Pair] = []
        for place, head in enumerate(heads):
            pair = self._best_pair(head, place, waiting, now)
            if pair is not None:
                pairs.append(pair)
        heapq.heapify(pairs)
        while pairs and free:
            _, place, head, worker = pairs[0]
            if worker in free:
                kind = self._kind_of(head)
                kind.recent += 1.0
                self._credit += CELLS_PER_EVENT
                yield Choice(head, worker, kind.figures_for(self._crew.index[worker]))
                if not head.count or head.level != level:
                    heapq.heappop(pairs)
                    continue
            pair = self._best_pair(head, place, waiting, now) if free else None
            if pair is None:
                heapq.heappop(pairs)
            else:
                heapq.heapreplace(pairs, pair)

    def _best_pair(
        self, head: WaitingHead, place: int, waiting: WaitingTasks, now: float
    ) -> _Pair | None:
        """The best free worker for a task, with its loss; None if the task had better wait."""
        kind = self._kind_of(head)
        able, free = head.able, waiting.free
        if len(able) == 1:
            (only,) = able
            return (0.0, place, head, only) if only in free else None
        if self._is_declared_enough(kind):
            return self._declared_pair(kind, head, place, waiting, now)
        index, values = self._crew.index, kind.values
        chosen: WorkerRecord | None = None
        best_free = -inf
        for worker in free:
            if worker in able:
                value = values[index[worker]]
                if value > best_free or (value == best_free and _comes_first(worker, chosen)):
                    chosen, best_free = worker, value
        if chosen is None:
            return None
        loss = self._best_value(kind, head) - best_free
        relaxed_per_s = max(RELAXED_PER_DURATION / kind.mean_s, 1.0 / LONGEST_HOLD_S)
        excess = loss - relaxed_per_s * (now - head.waits_since)
        if excess <= TOLERANCE + 1e-9:
            return excess, place, head, chosen
        self._wake(head.waits_since + (loss - TOLERANCE) / relaxed_per_s, waiting)
        return None

    def _declared_pair(
        self, kind: TaskKind, head: WaitingHead, place: int, waiting: WaitingTasks, now: float
    ) -> _Pair | None:
        """The free worker to which `best_fit` gives a task, while declared skills are believed."""
        index, declared = self._crew.index, kind.declared
        task = head.task
        free = [worker for worker in waiting.free if worker in head.able]
        if not free:
            return None
        suitable = [
            worker
            for worker in free
            if declared[index[worker]] and index[worker] not in kind.on_probation
        ]
        if suitable:
            if head.failed_by:
                best = max(suitable, key=lambda each: (recovery_score(each), -each.order))
            else:
                best = max(suitable, key=lambda each: (_best_fit.score(task, each), -each.order))
            return 0.0, place, head, best
        if any(
            declared[index[worker]] and index[worker] not in kind.on_probation
            for worker in head.able
            if worker in index
        ):
            return None
        due_at = head.waits_since + GUESS_AFTER_S
        if due_at > now + _AT_ONCE_S:
            self._wake(due_at, waiting)
            return None
        best = max(free, key=lambda each: (kind.values[index[each]], -each.order))
        return 0.0, place, head, best

    def _is_declared_enough(self, kind: TaskKind) -> bool:
        return (
            self.declared.are_believed
            and not self._thrift
            and not kind.is_uneven
            and not kind.task.required_skills
        )

    def _best_value(self, kind: TaskKind, head: WaitingHead) -> float:
        if head.able == kind.able:
            return kind.best
        index, values = self._crew.index, kind.values
        return max((values[index[worker]] for worker in head.able if worker in index), default=0.0)

    def _wake(self, at: float, waiting: WaitingTasks) -> None:
        if not waiting.is_ahead and (self._wakes_at is None or at < self._wakes_at):
            self._wakes_at = at

    def hold(self, head: WaitingHead, now: float) -> Hold | None:
        """For which worker a task is held back, and until when at most."""
        return None

    # ------------------------------------------------------------------ kinds and prices

    def _kind_of(self, head: WaitingHead) -> TaskKind:
        kind = head.notes
        if not isinstance(kind, TaskKind) or kind.stamp < 0:
            kind = head.notes = self._find_kind(head)
        if kind.stale:
            kind.update_stale()
        if kind.price_version != self._price_version:
            kind.reprice(self._price_version)
        return kind

    def _find_kind(self, head: WaitingHead) -> TaskKind:
        task = head.task
        may_retry = head.attempts_left > 1
        key = (task.type, self.group(task), may_retry)
        kind = self._kinds.get(key)
        if kind is None:
            if len(self._kinds) >= MAX_KINDS:
                self._drop_kinds()
            kind = self._kinds[key] = TaskKind(task, may_retry=may_retry)
            kind.meet(self._crew, self, self.scorecards, self._thrift)
            self._kinds_by_type.setdefault(task.type, []).append(kind)
        return kind

    def _drop_kinds(self) -> None:
        """Forget the half of the kinds that had the least work lately."""
        ordered = sorted(self._kinds.items(), key=lambda item: -item[1].recent)
        for _, kind in ordered[MAX_KINDS // 2 :]:
            kind.stamp = -(2**62)
        self._kinds = dict(ordered[: MAX_KINDS // 2])
        self._kinds_by_type = {}
        for kind in self._kinds.values():
            self._kinds_by_type.setdefault(kind.task.type, []).append(kind)

    def _adjust(self, heads: Sequence[WaitingHead], now: float) -> None:
        """Adjust the prices if enough has happened since the last time."""
        backlog: dict[TaskKind, int] = {}
        for head in heads:
            kind = self._kind_of(head)
            backlog[kind] = backlog.get(kind, 0) + head.count
        kinds = [
            kind for kind in self._kinds.values() if kind.recent > _FORGOTTEN or kind in backlog
        ]
        needed = max(len(kinds) * len(self._crew.workers), CELLS_PER_EVENT * FEWEST_EVENTS)
        in_all = sum(backlog.values())
        self._credit += CELLS_PER_EVENT * max(in_all - self._backlog, 0)
        self._backlog = in_all
        rounds = int(min(self._credit / needed, _CATCHES_UP))
        if not rounds:
            return
        self._credit = 0.0
        recent = sum(kind.recent for kind in kinds)
        self._lasted_s += 0.0 if self._adjusted_at is None else now - self._adjusted_at
        self._adjusted_at = now
        kept = min(RECENT_TASKS / recent, 1.0) if recent else 1.0
        self._lasted_s *= kept
        for kind in kinds:
            kind.recent *= kept
            kind.demand = kind.recent + backlog.get(kind, 0)
            kind.update_all()
        crew = self._crew
        for _ in range(rounds):
            adjust_prices(crew.prices, kinds, self._lasted_s)
        crew.per_s[:] = [price.per_s for price in crew.prices]
        self._price_version += 1

    # ------------------------------------------------------------------ keeping

    def export_state(self) -> Mapping[str, Payload]:
        """What it has learned: a part for each worker, and `SHARED_ROW` with the rest."""
        scorecards = self.scorecards
        scorecards.settle()
        parts: dict[str, Payload] = {SHARED_ROW: self._write_shares()}
        parts.update((name, scorecards.worker_row(name)) for name in scorecards.workers)
        return parts

    def changed_state(self) -> Mapping[str, Payload]:
        """The parts that may have changed since the last call."""
        scorecards = self.scorecards
        scorecards.settle()
        parts: dict[str, Payload] = {SHARED_ROW: self._write_shares()}
        parts.update(
            (name, scorecards.worker_row(name))
            for name in scorecards.rows_changed()
            if name != SHARED_ROW
        )
        return parts

    def restore_state(self, state: Mapping[str, Payload]) -> None:
        """Continue with what `export_state` returned.

        Raises:
            InvalidInput: a part can't be read; nothing has changed.
        """
        scorecards = Scorecards()
        shares = read_shares(state.get(SHARED_ROW, {}))
        kinds = read_kinds(shares.kinds)
        if shares.skills:
            scorecards.load_row(SHARED_ROW, shares.skills)
        for name, part in state.items():
            if name != SHARED_ROW:
                if not isinstance(part, dict):
                    raise InvalidInput(f"skills of worker {name!r}: {show(part)} is no object")
                scorecards.load_row(name, cast("Mapping[str, Payload]", part))
        self.scorecards = scorecards
        self.declared.results = shares.results
        self.declared.contradictions = shares.contradictions
        self._prices = read_prices(shares.prices)
        for kind in kinds:
            key = (kind.task.type, self.group(kind.task), kind.may_retry)
            self._kinds[key] = kind
            self._kinds_by_type.setdefault(kind.task.type, []).append(kind)
            kind.meet(self._crew, self, scorecards, self._thrift)
        self._credit, self._backlog = shares.credit, shares.backlog
        self._lasted_s, self._adjusted_at = shares.lasted_s, shares.adjusted_at

    def _write_shares(self) -> Payload:
        return {
            "skills": self.scorecards.worker_row(SHARED_ROW),
            "results": self.declared.results,
            "contradictions": self.declared.contradictions,
            "prices": write_prices(self._prices),
            # All of them, in their order, since prices depend on it.
            "kinds": self._kind_tasks.write(self._kinds.values()),
            "credit": self._credit,
            "backlog": self._backlog,
            "lasted_s": self._lasted_s,
            "adjusted_at": self._adjusted_at,
        }


def _comes_first(worker: WorkerRecord, other: WorkerRecord | None) -> bool:
    return other is None or worker.order < other.order
