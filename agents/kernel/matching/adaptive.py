"""The adaptive policy: gives tasks to the workers that will probably do them, and learns who."""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from math import inf
from operator import attrgetter
from typing import TYPE_CHECKING, cast

from ....messages import InvalidInput, Payload, Task
from ....messages.wording import show
from ..model.named_tuples import make_named
from .declared_skills import DeclaredSkills
from .hold_rule import GUESS_AFTER_S, TOLERANCE, find_hold, relaxed_per_s
from .learning_policy import Choice, Hold, SettledAttempt, WaitingHead, WaitingTasks
from .market import Market
from .only_free_worker import AT_ONCE, LOAD, LONGEST_BONUS, OnlyFreeWorker
from .policies import BestFit, recovery_score
from .scorecards.scorecards import SHARED_ROW, Scorecards
from .task_kinds import TaskKind

if TYPE_CHECKING:
    from ..model.records import WorkerRecord

_Pair = tuple[float, int, WaitingHead, "WorkerRecord"]
_Ranked = tuple[float, int, "WorkerRecord"]
_Loaded = tuple["WorkerRecord", int, float]

HEADS_AT_ONCE = 64
"""How many groups of waiting tasks are looked at together, the most urgent ones."""

TRIED_AFTER = 25
"""A worker that has not shown what it can do, with no type at all, gets one of so many tasks."""

RESULTS_BETWEEN_TRIALS = 5
"""How many results of any type pass before such workers are looked for again."""

TRIALS = 3
"""How many results show what a worker can do."""

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
    puts_priority_first = True

    def __init__(self, scorecards: Scorecards | None = None) -> None:
        self.scorecards = scorecards or Scorecards()
        self.declared = DeclaredSkills()
        self.market = Market(self, self.scorecards)
        self._only_worker = OnlyFreeWorker(self.market, self._wake)
        self._wakes_at: float | None = None
        self._is_declared = True
        self._noted: list[SettledAttempt] = []
        self._tried_at_step = 0

    # ------------------------------------------------------------------ as every policy

    def urgency(self, task: Task, sequence: int) -> tuple[float, ...]:
        """By priority, then difficulty, then the order of adding."""
        return (-task.priority, -task.difficulty, sequence)

    def group(self, task: Task) -> Hashable:
        """By what makes a difference to a worker's value."""
        may_retry = _may_retry(task)
        if task.required_skills:
            skills = tuple(sorted(task.required_skills.items()))
            return (task.difficulty, may_retry, skills, task.strict)
        return (task.difficulty, may_retry)

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
        self._noted.append(settled)

    def meet(self, workers: Sequence[WorkerRecord]) -> None:
        """Note which connected workers may get tasks."""
        self.market.meet(workers)
        self._only_worker.forget()

    def wakes_at(self) -> float | None:
        """When a task that the last `choose` held back may go to another worker."""
        return self._wakes_at

    # ------------------------------------------------------------------ choosing

    def choose(self, waiting: WaitingTasks, now: float) -> Iterator[Choice]:
        """Choose pairs until all that is left had better wait."""
        market = self.market
        self._take_noted()
        if waiting.thrift != market.thrift:
            market.set_thrift(waiting.thrift)
        self._is_declared = self.declared.are_believed and not waiting.thrift
        heads = waiting.heads[:HEADS_AT_ONCE]
        if not waiting.is_ahead:
            self._wakes_at = None
            if not self._is_declared and market.is_due:
                market.adjust(heads, now)
        free = waiting.free
        # Looking for them takes time, so it is done after some results only.
        step = self.declared.results // RESULTS_BETWEEN_TRIALS
        is_time_to_try, self._tried_at_step = step != self._tried_at_step, step
        for level_heads in _split_by_level(heads):
            if free and is_time_to_try:
                yield from self._try_unproven(level_heads, waiting)
            if not free:
                return
            if self._is_declared:
                yield from self._pair_declared(level_heads, waiting, now)
            else:
                yield from self._pair_learned(level_heads, waiting, now)

    def _choice(self, kind: TaskKind, head: WaitingHead, worker: WorkerRecord) -> Choice:
        kind.recent += 1.0
        self.market.events += 1
        figures = kind.figures_for(self.market.crew.index[worker])
        return make_named(Choice, (head, worker, figures))

    # ------------------------------------------------------------------ by declared skills

    def _pair_declared(
        self, heads: Sequence[WaitingHead], waiting: WaitingTasks, now: float
    ) -> Iterator[Choice]:
        """Choose as `best_fit` does: the most urgent task, then its worker."""
        others: list[WaitingHead] = []
        level = heads[0].level
        for head in tuple(heads):
            kind = self.market.kind_of(head)
            if not self._decides_by_declared(kind):
                others.append(head)
                continue
            ranked = self._rank_declared(kind, head, waiting, now)
            while ranked and head.count and head.level == level:
                _, _, worker = ranked[0]
                yield self._choice(kind, head, worker)
                if worker not in waiting.free:
                    heapq.heappop(ranked)
                elif len(ranked) > 1:
                    heapq.heapreplace(
                        ranked, (-_declared_score(head, worker), worker.order, worker)
                    )
        if others and waiting.free:
            yield from self._pair_learned(others, waiting, now)

    def _try_unproven(
        self, heads: Sequence[WaitingHead], waiting: WaitingTasks
    ) -> Iterator[Choice]:
        """Give tasks to idle workers that have not shown yet what they can do, now and then."""
        if not any(_may_be_untried(worker) for worker in waiting.free):
            return
        for head in tuple(heads):
            if head.count and waiting.free:
                kind = self.market.kind_of(head)
                untried = self._find_untried(kind, head, waiting)
                if untried is not None:
                    yield self._choice(kind, head, untried)

    def _find_untried(
        self, kind: TaskKind, head: WaitingHead, waiting: WaitingTasks
    ) -> WorkerRecord | None:
        """An idle worker that has not shown yet what it can do, if it is time to try it."""
        results, declared = kind.figures.results, kind.declared
        in_all = sum(results)
        if in_all < TRIED_AFTER:
            return None
        index, probation = self.market.crew.index, kind.figures.on_probation
        untried = [
            worker
            for worker in waiting.free
            if results[index[worker]] < TRIALS
            and _may_be_untried(worker)
            and in_all >= TRIED_AFTER * (results[index[worker]] + 1)
            and worker in head.able
            and index[worker] not in probation
            and not (self._is_declared and declared[index[worker]])
        ]
        return min(untried, key=lambda worker: worker.order, default=None)

    def _rank_declared(
        self, kind: TaskKind, head: WaitingHead, waiting: WaitingTasks, now: float
    ) -> list[_Ranked]:
        """The free workers that a task may go to, as a heap; none if it had better wait."""
        index, declared, probation = (
            self.market.crew.index,
            kind.declared,
            kind.figures.on_probation,
        )
        able = head.able
        free = [worker for worker in waiting.free if worker in able]
        if not free:
            return []
        suitable = [
            worker for worker in free if declared[index[worker]] and index[worker] not in probation
        ]
        if not suitable and len(able) > 1:
            places = [index[worker] for worker in able if worker in index]
            if any(declared[place] and place not in probation for place in places):
                return []
            if not waiting.is_ahead and now + AT_ONCE < head.waits_since + GUESS_AFTER_S:
                self._wake(head.waits_since + GUESS_AFTER_S, waiting)
                return []
            best = max([kind.values[index[worker]] for worker in free])
            suitable = [worker for worker in free if kind.values[index[worker]] == best]
        ranked = [
            (-_declared_score(head, worker), worker.order, worker) for worker in suitable or free
        ]
        heapq.heapify(ranked)
        return ranked

    # ------------------------------------------------------------------ by learned values

    def _pair_learned(
        self, heads: Sequence[WaitingHead], waiting: WaitingTasks, now: float
    ) -> Iterator[Choice]:
        free, level = waiting.free, heads[0].level
        if len(free) == 1 and len(heads) > 1:
            yield from self._pair_one(heads, waiting, now)
            return
        current = [head for head in heads if head.count and head.level == level]
        pairs = self._pairs(current, waiting, now)
        heapq.heapify(pairs)
        while pairs and free:
            _, place, head, worker = pairs[0]
            if worker in free:
                yield self._choice(self.market.kind_of(head), head, worker)
                if not head.count or head.level != level:
                    heapq.heappop(pairs)
                    continue
            loaded = self._loaded(free)
            pair = self._best_pair(head, place, waiting, now, loaded) if loaded else None
            if pair is None:
                heapq.heappop(pairs)
            else:
                heapq.heapreplace(pairs, pair)

    def _pair_one(
        self, heads: Sequence[WaitingHead], waiting: WaitingTasks, now: float
    ) -> Iterator[Choice]:
        """Choose for the only free worker, which is what happens most under load."""
        free, level = waiting.free, heads[0].level
        (worker,) = free
        while worker in free:
            head = self._only_worker.find(heads, level, worker, waiting, now)
            if head is None:
                return
            yield self._choice(self.market.kind_of(head), head, worker)

    def _pairs(
        self, heads: Sequence[WaitingHead], waiting: WaitingTasks, now: float
    ) -> list[_Pair]:
        pairs: list[_Pair] = []
        loaded = self._loaded(waiting.free)
        for place, head in enumerate(heads):
            pair = self._best_pair(head, place, waiting, now, loaded)
            if pair is not None:
                pairs.append(pair)
        return pairs

    def _loaded(self, free: Iterable[WorkerRecord]) -> list[_Loaded]:
        """The free workers, each with its index and what its load takes from its value."""
        index = self.market.crew.index
        return [
            (each, index[each], LOAD * each.taken / each.slots) for each in free if each in index
        ]

    def _best_pair(
        self,
        head: WaitingHead,
        place: int,
        waiting: WaitingTasks,
        now: float,
        loaded: Sequence[_Loaded],
    ) -> _Pair | None:
        """The best free worker for a task, with its loss; None if the task had better wait."""
        kind = self.market.kind_of(head)
        able, values = head.able, kind.values
        best = kind.best if able is kind.able else self.market.best_value(kind, head)
        # If a task may have several attempts, its failures bring other workers results.
        is_drawn = waiting.thrift and not waiting.is_ahead and not _may_retry(head.task)
        if is_drawn and kind.is_drawn:
            index = self.market.crew.index
            values = self.market.draw_values(kind, head.task)
            best = max([values[index[worker]] for worker in able if worker in index], default=best)
        probation = kind.figures.on_probation
        chosen: WorkerRecord | None = None
        best_free = -inf
        for worker, at, load in loaded:
            if worker in able:
                value = values[at] - load
                if probation and at in probation:
                    value += self.market.probe_bonus(kind, worker, now)
                if value > best_free or (
                    value == best_free and (chosen is None or worker.order < chosen.order)
                ):
                    chosen, best_free = worker, value
        if chosen is None:
            return None
        loss = best - best_free
        if not loss < inf:
            # It is addressed to a worker that could not run it otherwise.
            loss = 0.0
        growth_per_s = relaxed_per_s(kind)
        bonus = growth_per_s * (now - head.waits_since)
        if loss <= TOLERANCE + bonus + AT_ONCE:
            return loss - min(bonus, LONGEST_BONUS), place, head, chosen
        self._wake(head.waits_since + (loss - TOLERANCE) / growth_per_s, waiting)
        return None

    def _wake(self, at: float, waiting: WaitingTasks) -> None:
        if not waiting.is_ahead and (self._wakes_at is None or at < self._wakes_at):
            self._wakes_at = at

    # ------------------------------------------------------------------ explaining

    def hold(self, head: WaitingHead, now: float) -> Hold | None:
        """For which worker a task is held back, and until when at most."""
        kind = self.market.kind_of(head)
        by_declared = self._decides_by_declared(kind)
        return find_hold(kind, self.market.crew, head, now, by_declared=by_declared)

    def suits(self, task: Task, worker: WorkerRecord) -> bool:
        """Whether the worker is as good for the task as the best, within the tolerance."""
        kind = self.market.find_kind(task, may_retry=_may_retry(task))
        place = self.market.crew.index.get(worker)
        if place is None:
            return False
        if self._decides_by_declared(kind):
            return kind.declared[place] and place not in kind.figures.on_probation
        return kind.best - kind.values[place] <= TOLERANCE

    def _decides_by_declared(self, kind: TaskKind) -> bool:
        return self._is_declared and not kind.is_uneven and not kind.task.required_skills

    # ------------------------------------------------------------------ keeping

    def export_state(self) -> Mapping[str, Payload]:
        """What it has learned: a part for each worker, and `SHARED_ROW` with the rest."""
        self._take_noted()
        # Whoever continues has none of them either.
        self._only_worker.forget()
        scorecards = self.scorecards
        parts: dict[str, Payload] = {SHARED_ROW: self._write_shares()}
        parts.update((name, scorecards.worker_row(name)) for name in scorecards.workers)
        return parts

    def changed_state(self) -> Mapping[str, Payload]:
        """The parts that may have changed since the last call."""
        self._take_noted()
        self._only_worker.forget()
        scorecards = self.scorecards
        parts: dict[str, Payload] = {SHARED_ROW: self._write_shares()}
        for name in scorecards.rows_changed():
            if name != SHARED_ROW:
                is_known = name in scorecards.workers
                parts[name] = scorecards.worker_row(name) if is_known else None
        return parts

    def restore_state(self, state: Mapping[str, Payload]) -> None:
        """Continue with what `export_state` returned.

        Raises:
            InvalidInput: a part can't be read; nothing has changed.
        """
        # It has models of pydantic, which take long to import, and most runs read nothing.
        from .adaptive_state import read_shares  # noqa: PLC0415

        scorecards = Scorecards()
        shares = read_shares(state.get(SHARED_ROW, {}))
        if shares.skills:
            scorecards.load_row(SHARED_ROW, shares.skills)
        for name, part in state.items():
            if name != SHARED_ROW:
                if not isinstance(part, dict):
                    raise InvalidInput(f"skills of worker {name!r}: {show(part)} is no object")
                scorecards.load_row(name, cast("Mapping[str, Payload]", part))
        market = Market(self, scorecards)
        market.restore_state(shares.market)
        self.scorecards, self.market = scorecards, market
        self._only_worker = OnlyFreeWorker(market, self._wake)
        self.declared.results = shares.results
        self.declared.contradictions = shares.contradictions
        self.declared.are_believed = shares.are_believed
        self._tried_at_step = self.declared.results // RESULTS_BETWEEN_TRIALS

    def _write_shares(self) -> Payload:
        return {
            "skills": self.scorecards.worker_row(SHARED_ROW),
            "results": self.declared.results,
            "contradictions": self.declared.contradictions,
            "are_believed": self.declared.are_believed,
            "market": self.market.write_state(),
        }

    def _take_noted(self) -> None:
        """Take the results into account that came since the last choice."""
        if self._noted:
            self.scorecards.settle()
            self.declared.learn(self._noted)
            self.market.note_results(self._noted)
            self._noted.clear()


def _split_by_level(heads: Sequence[WaitingHead]) -> Sequence[Sequence[WaitingHead]]:
    """Tasks of one level together; they are in the order of their levels."""
    if not heads or heads[0].level == heads[-1].level:
        return (heads,) if heads else ()
    return [tuple(each) for _, each in groupby(heads, attrgetter("level"))]


def _may_be_untried(worker: WorkerRecord) -> bool:
    return worker.stats.completed_tasks < TRIALS and not worker.taken


def _declared_score(head: WaitingHead, worker: WorkerRecord) -> float:
    return recovery_score(worker) if head.failed_by else _best_fit.score(head.task, worker)


def _may_retry(task: Task) -> bool:
    return task.max_attempts > 1 or task.retry is not None
