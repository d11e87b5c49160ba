"""The kinds of work and the prices of workers' time, kept up to date at a bounded cost."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import groupby
from math import inf
from typing import TYPE_CHECKING

from ....messages import Payload, Task
from .market_rows import KindWriter, write_prices
from .policies import MatchingPolicy
from .prices import TimePrice, adjust_prices
from .scorecards.result_order import WORKER_AND_TYPE
from .scorecards.scorecards import Scorecards
from .scorecards.sharpness import Sharpness
from .task_kinds import BLOCKED, Crew, TaskKind
from .type_figures import FiguresRow, TypeFigures
from .value_draws import draw_values

if TYPE_CHECKING:
    from ..model.records import WorkerRecord
    from .adaptive_state import StoredMarket
    from .learning_policy import SettledAttempt, WaitingHead

CELLS_PER_EVENT = 32
"""How many cells of the tables are looked at for each event, so that its cost stays bounded."""

FEWEST_EVENTS = 8
"""The least number of events between two adjustments of the prices."""

SETTLED_AFTER = 250
"""After so many events, prices are adjusted half as often, then less and less."""

LONGEST_INTERVAL = 16.0
"""How much longer the time between two adjustments becomes at most."""

RECENT_TASKS = 128.0
"""For about how many tasks what was handed out lately counts as demand."""

MAX_KINDS = 1_000

MAX_FIGURES_KEPT = 500
"""A store keeps no more looked-up figures than this; others are looked up anew."""

PROBE = 0.5
"""How much it is worth to learn whether a blocked worker can do such tasks again, as a value, if
the task has another attempt."""

_CATCHES_UP = 40
_FORGOTTEN = 0.05
_NOTABLE = 0.01


class Market:
    """The kinds of work, what each worker is worth for them, and the prices of workers' time.

    Args:
        policy: whose groups and obstacles count.
        scorecards: what the workers have shown.
    """

    def __init__(self, policy: MatchingPolicy, scorecards: Scorecards) -> None:
        self._policy = policy
        self._scorecards = scorecards
        self.crew = Crew((), [])
        self.thrift = 0.0
        self.events = 0
        """The number of results and choices since the prices were last adjusted."""
        self.epoch = 0
        """A number that changes with the prices, and when somebody's value changes much."""
        self.changed: set[WorkerRecord] = set()
        """The workers whose own figures have changed; whoever reads it clears it."""
        self._all_events = 0
        self._due_after = 0.0
        self._backlog = 0
        self._lasted_s = 0.0
        self._adjusted_at: float | None = None
        self.price_version = 0
        """A number that changes with the prices."""
        self._prices: dict[str, TimePrice] = {}
        # Bounded by `MAX_KINDS`.
        self._kinds: dict[Hashable, TaskKind] = {}
        self._kind_writer = KindWriter()
        self._types: dict[str, tuple[TypeFigures, list[TaskKind]]] = {}
        self._sharpness = Sharpness()
        # What a run left that is continued: until its workers are there again.
        self._known: dict[str, Mapping[str, FiguresRow]] = {}
        self._kept: list[tuple[Task, bool, Sequence[float]]] = []

    @property
    def is_due(self) -> bool:
        """Whether enough has happened to adjust the prices."""
        return self.events >= self._due_after

    def meet(self, workers: Sequence[WorkerRecord]) -> None:
        """Start anew with other workers; the prices of those that stay are kept."""
        prices: list[TimePrice] = []
        for worker in workers:
            price = self._prices.get(worker.name)
            if price is None:
                price = self._prices[worker.name] = TimePrice(worker.slots)
                # Its price is to be found soon.
                self._due_after = 0.0
            price.slots = worker.slots
            prices.append(price)
        self.crew = Crew(workers, prices)
        self.epoch += 1
        for task_type, (figures, _) in self._types.items():
            self._known[task_type] = {**self._known.get(task_type, {}), **figures.rows()}
        before, self._kinds = self._kinds, {}
        self._types.clear()
        for kind in before.values():
            kind.drop()
        # A run that is continued meets its workers one by one, as they come back.
        kept = self._kept or [
            (kind.task, kind.may_retry, kind.export())
            for kind in before.values()
            if kind.recent > _FORGOTTEN
        ]
        if workers:
            self._kept = []
        for task, may_retry, state in kept if workers else ():
            key = (task.type, self._policy.group(task), may_retry)
            self._add_kind(key, task, may_retry=may_retry).restore(state)
        if not workers:
            self._kept = kept

    def set_thrift(self, thrift: float) -> None:
        """Set how much of a success one unit of cost is worth."""
        self.thrift = thrift
        self.meet(self.crew.workers)

    def note_results(self, settled: Iterable[SettledAttempt]) -> None:
        """Follow the scorecards of the workers that had results."""
        index_of, types = self.crew.index, self._types
        # Results of one worker and type that arrived together are noted together.
        for (worker, task_type), attempts in groupby(settled, WORKER_AND_TYPE):
            results = len(list(attempts))
            self.events += results
            index = index_of.get(worker)
            known = types.get(task_type)
            if index is None or known is None:
                continue
            figures, kinds = known
            if figures.note_results(index, results):
                self.changed.add(worker)
                self._follow(kinds, index)

    def _follow(self, kinds: Iterable[TaskKind], index: int) -> None:
        """Follow the figures of one worker, at once in the kinds that have work."""
        # Many kinds differ in other things than the difficulty.
        chances: dict[float, float] = {}
        for kind in kinds:
            if kind.recent > _FORGOTTEN:
                best = kind.best
                kind.follow(index, chances)
                if abs(kind.best - best) > _NOTABLE:
                    self.epoch += 1
            else:
                kind.stale.add(index)

    def kind_of(self, head: WaitingHead) -> TaskKind:
        """The kind of a task, up to date."""
        kind = head.notes
        if type(kind) is not TaskKind or kind.is_dropped:
            kind = head.notes = self.find_kind(head.task, may_retry=head.attempts_left > 1)
        elif kind.stale or kind.price_version != self.price_version:
            self._update(kind)
        return kind

    def probe_bonus(self, kind: TaskKind, worker: WorkerRecord, now: float) -> float:
        """What makes up for the penalty of a worker whose next task is a probe."""
        if self._scorecards.is_blocked(worker, kind.task.type, now) is not None:
            return 0.0
        return BLOCKED + (PROBE if kind.may_retry else 0.0)

    def best_value(self, kind: TaskKind, head: WaitingHead) -> float:
        """What the best worker that may run a task is worth for it, free or not."""
        able = head.able
        if able is kind.able:
            return kind.best
        if able == kind.able:
            # From now on comparing them takes no time.
            kind.able = able
            return kind.best
        index, values = self.crew.index, kind.values
        return max([values[index[worker]] for worker in able if worker in index], default=-inf)

    def draw_values(self, kind: TaskKind, task: Task) -> Sequence[float]:
        """What each worker is worth for a task in one draw; see `value_draws`."""
        return draw_values(kind, task, self.crew.names, self._sharpness)

    def _update(self, kind: TaskKind) -> None:
        if kind.stale:
            kind.update_stale()
        if kind.price_version != self.price_version:
            kind.reprice(self.price_version)

    def find_kind(self, task: Task, *, may_retry: bool) -> TaskKind:
        """The kind of a task, up to date.

        Args:
            task: the task.
            may_retry: whether another attempt follows a failed one.
        """
        key = (task.type, self._policy.group(task), may_retry)
        kind = self._kinds.get(key)
        if kind is None:
            if len(self._kinds) >= MAX_KINDS:
                self._drop_kinds()
            kind = self._add_kind(key, task, may_retry=may_retry)
        self._update(kind)
        return kind

    def _add_kind(self, key: Hashable, task: Task, *, may_retry: bool) -> TaskKind:
        known = self._types.get(task.type)
        if known is None:
            rows = self._known.get(task.type, {})
            figures = TypeFigures(
                task.type, self.crew.workers, self._scorecards, self._sharpness, rows
            )
            known = self._types[task.type] = (figures, [])
        kind = self._kinds[key] = TaskKind(
            task,
            self.crew,
            may_retry=may_retry,
            figures=known[0],
            policy=self._policy,
            thrift=self.thrift,
        )
        known[1].append(kind)
        return kind

    def _drop_kinds(self) -> None:
        """Forget the half of the kinds that had the least work lately."""
        ordered = sorted(self._kinds.items(), key=lambda item: -item[1].recent)
        for _, kind in ordered[MAX_KINDS // 2 :]:
            kind.drop()
        self._kinds = dict(ordered[: MAX_KINDS // 2])
        for task_type, (figures, kinds) in tuple(self._types.items()):
            left = [kind for kind in kinds if not kind.is_dropped]
            if left:
                self._types[task_type] = (figures, left)
            else:
                del self._types[task_type]

    def adjust(self, heads: Sequence[WaitingHead], now: float) -> None:
        """Adjust the prices if enough has happened since the last time.

        Args:
            heads: the most urgent waiting tasks.
            now: the time in seconds of the board.
        """
        backlog: dict[TaskKind, int] = {}
        for head in heads:
            kind = self.kind_of(head)
            backlog[kind] = backlog.get(kind, 0) + head.count
        kinds = [
            kind for kind in self._kinds.values() if kind.recent > _FORGOTTEN or kind in backlog
        ]
        cells = max(len(kinds) * len(self.crew.workers), CELLS_PER_EVENT * FEWEST_EVENTS)
        in_all = sum(backlog.values())
        events = self.events + max(in_all - self._backlog, 0)
        self._backlog = in_all
        self._all_events += self.events
        self.events = 0
        self._due_after = cells / CELLS_PER_EVENT
        self._due_after *= min(1.0 + self._all_events / SETTLED_AFTER, LONGEST_INTERVAL)
        rounds = int(min(events / self._due_after, _CATCHES_UP)) or 1
        recent = sum([kind.recent for kind in kinds])
        self._lasted_s += 0.0 if self._adjusted_at is None else now - self._adjusted_at
        self._adjusted_at = now
        kept = min(RECENT_TASKS / recent, 1.0) if recent else 1.0
        self._lasted_s *= kept
        if self._scorecards.sharpness.published != self._sharpness.published:
            self._publish_sharpness()
        for figures, of_type in self._types.values():
            changed = [index for index in range(len(self.crew.workers)) if figures.look_up(index)]
            if changed:
                for kind in of_type:
                    kind.stale.update(changed)
        for kind in kinds:
            kind.recent *= kept
            kind.demand = kind.recent + backlog.get(kind, 0)
            if kind.stale:
                kind.update_stale()
        crew = self.crew
        for _ in range(rounds):
            adjust_prices(crew.prices, kinds, self._lasted_s)
        crew.per_s[:] = [price.per_s for price in crew.prices]
        self.price_version += 1
        self.epoch += 1

    def _publish_sharpness(self) -> None:
        current = self._scorecards.sharpness
        self._sharpness.restore(current.log_weights, current.published)
        for kind in self._kinds.values():
            kind.update_all()

    # ------------------------------------------------------------------ keeping

    def write_state(self) -> Payload:
        """What `restore_state` reads, as plain values."""
        figures = {task_type: known[0].rows() for task_type, known in self._types.items()}
        is_small = sum(map(len, figures.values())) <= MAX_FIGURES_KEPT
        return {
            "prices": write_prices(self._prices),
            # The order counts. Others are dropped when workers come, as they do after a restart.
            "kinds": self._kind_writer.write(
                kind for kind in self._kinds.values() if kind.recent > _FORGOTTEN
            ),
            "figures": figures if is_small else {},
            "sharpness": list(self._sharpness.published),
            "events": self.events,
            "all_events": self._all_events,
            "due_after": self._due_after,
            "backlog": self._backlog,
            "lasted_s": self._lasted_s,
            "adjusted_at": self._adjusted_at,
        }

    def restore_state(self, stored: StoredMarket) -> None:
        """Continue with what `write_state` returned; of a new market, before workers come.

        Raises:
            InvalidInput: the task of a kind is not valid.
        """
        self._kept = [(each.task(), each.may_retry, each.kept) for each in stored.kinds]
        self._known = dict(stored.figures)
        if stored.sharpness is not None:
            self._sharpness.restore(self._sharpness.log_weights, stored.sharpness)
        self._prices = stored.prices_of_workers()
        self.events, self._all_events = stored.events, stored.all_events
        self._due_after, self._backlog = stored.due_after, stored.backlog
        self._lasted_s, self._adjusted_at = stored.lasted_s, stored.adjusted_at
