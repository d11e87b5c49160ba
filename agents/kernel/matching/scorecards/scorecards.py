"""Scorecards: what workers have shown, and what can be expected of them for a task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from math import log, prod, sqrt
from typing import TYPE_CHECKING, NamedTuple

from .....messages import Payload, Task
from ...model.records import AttemptOutcome
from .additive_belief import SharedBelief
from .breaker import Breaker
from .card_state import load_shared, load_worker, save_shared, save_worker
from .change_detector import weigh_change
from .pace_model import log_duration, observe_pace
from .result_order import WORKER_AND_TYPE, canonical_order
from .sharpness import Sharpness
from .skill_model import EASE_DEVIATION, observe_outcomes, scale_level
from .type_commons import CommonEase, TypeCommons
from .worker_card import BROKEN_SUCCESS, NotedResults, TypeCard, WorkerCard

if TYPE_CHECKING:
    from ...model.records import WorkerRecord
    from ..learning_policy import SettledAttempt
    from .scorecard_file import WorkerSection

# `scorecard_file` has models of pydantic, which take long to import, and most runs read nothing.
# ruff: noqa: PLC0415

SHARED_ROW = ""
"""The key of the row of what is common to all workers."""

MAX_COST = 1e12
"""A higher cost of an attempt counts as this."""

MAX_TYPES = 1_000
"""So many types are known of each worker; a further one displaces the oldest."""

_GRADED = {
    AttemptOutcome.SUCCEEDED: 1.0,
    AttemptOutcome.REJECTED: 0.0,
    AttemptOutcome.FAILED: 0.0,
    AttemptOutcome.TIMED_OUT: 0.0,
}
_GRADABLE = (AttemptOutcome.SUCCEEDED, AttemptOutcome.REJECTED)
# Module constants, because access to an enum member takes long.
_SUCCEEDED = AttemptOutcome.SUCCEEDED
_REJECTED = AttemptOutcome.REJECTED
_NONE = (0, 0.0)
_EPOCH = 2**32
_COSTS_KEPT = 0.98
_PATIENCE = 16
_LONGEST_PATIENCE = 64
_FAILURE_WEIGHT = 3
_HASTY = 0.2


class Chance(NamedTuple):
    """What is expected of an attempt at a task.

    Args:
        success: the probability of success, 0 to 1.
        skill: the worker's skill for tasks of the type, on the scale of difficulties.
        deviation: how uncertain the skill is, as a standard deviation.
        results: the number of its results with the type.
    """

    success: float
    skill: float
    deviation: float
    results: int


class Scorecards:
    """What all workers have shown, learned from their results.

    It has no clock and no randomness: the same results give the same figures.
    """

    def __init__(self) -> None:
        self.sharpness = Sharpness()
        self.common_ease = CommonEase()
        self.workers: dict[str, WorkerCard] = {}
        self.types: dict[str, TypeCommons] = {}
        self.named: dict[str, SharedBelief] = {}
        self._buffer: list[SettledAttempt] = []
        self._changed: set[str] = set()
        self._epoch = 0

    def learn(self, settled: SettledAttempt) -> None:
        """Note an attempt that has ended; `settle` takes it into account."""
        self._buffer.append(settled)

    def settle(self) -> None:
        """Take all noted attempts into account.

        They are taken in a canonical order, so that the figures do not depend on the order in which
        they were noted.
        """
        buffer = self._buffer
        if not buffer:
            return
        self._buffer = []
        buffer.sort(key=canonical_order)
        for (worker, task_type), attempts in groupby(buffer, WORKER_AND_TYPE):
            self._take(worker, task_type, attempts)

    def chance(self, worker: WorkerRecord, task: Task) -> Chance:
        """What is expected of an attempt of this worker at this task."""
        card = self._card(worker)
        of_type = card.types.get(task.type) or self._add_type(card, worker, task.type)
        outlook = of_type.outlook(self.sharpness, task.difficulty)
        success = of_type.success(outlook)
        if task.required_skills:
            for name, level in task.required_skills.items():
                named = self._named_card(card, worker, name)
                success *= named.success(named.outlook(self.sharpness, scale_level(level)))
        return Chance(success, outlook.mean, sqrt(outlook.variance), of_type.results)

    def figures(
        self, worker: WorkerRecord, task_type: str
    ) -> tuple[float, float, int, float, float]:
        """The mean and variance of a worker's skill for tasks of a type, and its results.

        Then what `expected_s` and `expected_cost` return.
        """
        card = self._type_card(worker, task_type)
        mean, variance = card.skill.belief()
        return mean, variance, card.results, card.expected_s(), card.expected_cost(worker)

    def expected_s(self, worker: WorkerRecord, task: Task) -> float:
        """How long an attempt of this worker at this task will take, in seconds."""
        return self._type_card(worker, task.type).expected_s()

    def expected_cost(self, worker: WorkerRecord, task: Task) -> float:
        """What an attempt of this worker at this task will cost, in the manager's unit of cost.

        The mean of what its attempts at the type have cost; what its rates say counts as two more.
        """
        return self._type_card(worker, task.type).expected_cost(worker)

    def is_blocked(self, worker: WorkerRecord, task_type: str, now: float) -> str | None:
        """Why the worker gets no task of this type now; None if it may.

        After a pause, a blocked worker gets one task at a time as a probe: give it an easy one.
        """
        breaker = self._open_breaker(worker.name, task_type)
        if breaker is None:
            return None
        if now < breaker.probes_from:
            left_s = breaker.probes_from - now
            return f"{breaker.describe(task_type)}; next probe in {left_s:.0f} s"
        for each in (*worker.running.values(), *worker.prefetched.values()):
            if each.task.type == task_type:
                return f"{breaker.describe(task_type)}; a probe is running"
        return None

    def is_on_probation(self, worker_name: str, task_type: str) -> bool:
        """Whether a task of this type would be a probe, so that it should be an easy one."""
        return self._open_breaker(worker_name, task_type) is not None

    def _open_breaker(self, worker_name: str, task_type: str) -> Breaker | None:
        card = self.workers.get(worker_name)
        of_type = None if card is None else card.types.get(task_type)
        return None if of_type is None or not of_type.breaker.is_open else of_type.breaker

    def version(self, worker_name: str, task_type: str) -> int:
        """A number that changes when the figures of the worker for the type, or its breaker, do."""
        card = self.workers.get(worker_name)
        of_type = None if card is None else card.types.get(task_type)
        if card is None or of_type is None:
            return -1
        skill, pace = of_type.skill, of_type.pace
        assert pace is not None
        version = skill.version + skill.worker.version + skill.type.version
        version += pace.version + pace.worker.version + pace.type.version
        version += of_type.version + self.sharpness.version + self._epoch
        for each in card.named.values():
            skill = each.skill
            version += skill.version + skill.worker.version + skill.type.version + each.version
        return version

    # ------------------------------------------------------------------ keeping

    def export(self) -> dict[str, Payload]:
        """All scorecards as the content of a skills file, which `restore` reads."""
        from .scorecard_file import FORMAT, VERSION

        self.settle()
        content: dict[str, Payload] = {
            "format": FORMAT,
            "version": VERSION,
            "shared": save_shared(self.sharpness, self.common_ease),
        }
        if self.workers:
            workers = sorted(self.workers.items())
            content["workers"] = {name: save_worker(card) for name, card in workers}
        return content

    @classmethod
    def restore(cls, content: Mapping[str, Payload]) -> Scorecards:
        """Scorecards that decide as the exported ones.

        Raises:
            InvalidInput: the content is not valid; the message names the place and the value.
        """
        from .scorecard_file import read_skills_file

        read = read_skills_file(content)
        scorecards = cls()
        if read.shared is not None:
            load_shared(read.shared, scorecards.sharpness, scorecards.common_ease)
        for name, section in read.workers.items():
            scorecards._load_worker(name, section)
        return scorecards

    def rows_changed(self) -> list[str]:
        """The keys of the rows that have changed since the last call, for `row`.

        A row is a worker's; `SHARED_ROW` is what is common to all workers.
        """
        if not self._changed:
            return []
        changed = [SHARED_ROW, *sorted(self._changed)]
        self._changed.clear()
        return changed

    def worker_row(self, name: str) -> dict[str, Payload]:
        """A worker's row as plain values; `SHARED_ROW` names that of all workers."""
        if name == SHARED_ROW:
            return save_shared(self.sharpness, self.common_ease)
        return save_worker(self.workers[name])

    def load_row(self, name: str, row: Mapping[str, Payload]) -> None:
        """Load a row that `worker_row` returned.

        Raises:
            InvalidInput: the row is not valid; the message names the place and the value.
        """
        from .scorecard_file import read_shared_row, read_worker_row

        if name == SHARED_ROW:
            load_shared(read_shared_row(row), self.sharpness, self.common_ease)
            for each in self.types.values():
                each.ease.move_prior(self.common_ease.mean)
        else:
            self._load_worker(name, read_worker_row(row, name))

    def forget(self, name: str) -> None:
        """Forget what a worker has shown; nothing happens if there is nothing."""
        card = self.workers.pop(name, None)
        if card is not None:
            for task_type in card.types:
                self._drop_type(card, task_type)
            for each in card.named.values():
                each.skill.withdraw()

    # ------------------------------------------------------------------ learning

    def _take(
        self, worker: WorkerRecord, task_type: str, settled: Iterable[SettledAttempt]
    ) -> None:
        if not (graded_ones := [each for each in settled if each.outcome in _GRADED]):
            return
        card = self._card(worker)
        of_type = card.types.get(task_type) or self._add_type(card, worker, task_type)
        commons, breaker = self.types[task_type], of_type.breaker
        self._changed.add(worker.name)
        for each in graded_ones:
            task, _, _, outcome, duration_s, _, quality, cost, counts_as_skill, _ = each
            graded, noted = _GRADED[outcome], of_type.noted
            if cost or of_type.costs or noted.costs:
                noted.costs += 1
                noted.cost_sum += min(cost, MAX_COST)
            if outcome is _SUCCEEDED:
                if breaker.failures or breaker.reason:
                    breaker.note_success()
                    of_type.version += 1
                noted.paces += 1
                noted.pace_sum += log_duration(duration_s)
            elif outcome is not _REJECTED:
                self._note_failure(card, of_type, each)
            if counts_as_skill:
                # A grade lowers a success. It raises a rejection, but not a failure.
                if quality is not None and outcome in _GRADABLE:
                    graded = quality
                of_type.results += 1
                of_type.successes += graded
                commons.results += 1
                if task.required_skills:
                    self._learn_named(card, of_type, worker, task, graded)
                else:
                    count, total = noted.outcomes.get(task.difficulty, _NONE)
                    noted.outcomes[task.difficulty] = count + 1, total + graded
            noted.weight += 1 if graded == 1.0 else _FAILURE_WEIGHT
            if noted.weight > of_type.results // _PATIENCE or noted.weight > _LONGEST_PATIENCE:
                self._apply(card, of_type)

    def _apply(self, card: WorkerCard, of_type: TypeCard) -> None:
        noted, pace = of_type.noted, of_type.pace
        of_type.noted = NotedResults()
        if noted.outcomes:
            self._apply_outcomes(card, of_type, noted.outcomes)
        if noted.paces:
            assert pace is not None
            observe_pace(pace, noted.pace_sum, noted.paces)
        if noted.costs:
            kept = _COSTS_KEPT**noted.costs
            of_type.costs = of_type.costs * kept + noted.costs
            of_type.cost_sum = of_type.cost_sum * kept + noted.cost_sum
            of_type.version += 1

    def _apply_outcomes(
        self, card: WorkerCard, of_type: TypeCard, outcomes: Mapping[float, tuple[int, float]]
    ) -> None:
        sharpness = self.sharpness
        mean, variance = of_type.skill.belief()
        ordered = sorted(outcomes.items())
        odds = fall = rise = 0.0
        for difficulty, (count, total) in ordered:
            success = total / count
            chance = of_type.outlook(sharpness, difficulty).success
            odds += count * (
                success * log(BROKEN_SUCCESS / chance)
                + (1.0 - success) * log((1.0 - BROKEN_SUCCESS) / (1.0 - chance))
            )
            fallen, risen = weigh_change(sharpness, mean - difficulty, variance, success, chance)
            fall += count * fallen
            rise += count * risen
        weight = of_type.judge(odds)
        results = weight * sum([count for count, _ in outcomes.values()])
        change = card.detector.notice(weight * fall, weight * rise, results)
        if change:
            card.take_for_changed(change)
        for difficulty, (count, total) in ordered:
            observe_outcomes(of_type.skill, sharpness, difficulty, total / count, weight * count)
        sharpness.follow()
        of_type.skill.tell()
        self.common_ease.count_update(self.types)

    def _learn_named(
        self, card: WorkerCard, of_type: TypeCard, worker: WorkerRecord, task: Task, success: float
    ) -> None:
        # The attempt succeeds if all skills suffice. For a failure, each skill is blamed by the
        # probability that it did not suffice, given the failure (the E step of expectation
        # maximisation for a noisy AND).
        parts = [(of_type, float(task.difficulty))]
        for name, level in sorted(task.required_skills.items()):
            parts.append((self._named_card(card, worker, name), scale_level(level)))
        chances = [part.outlook(self.sharpness, level).success for part, level in parts]
        whole = prod(chances)
        for (part, level), chance in zip(parts, chances, strict=True):
            innocent = (chance - whole) / (1.0 - whole)
            if part is not of_type:
                part.results += 1
                part.successes += success
            observe_outcomes(
                part.skill, self.sharpness, level, success + (1.0 - success) * innocent, 1.0
            )
            part.skill.tell()
        self.sharpness.follow()
        self.common_ease.count_update(self.types)

    def _note_failure(self, card: WorkerCard, of_type: TypeCard, settled: SettledAttempt) -> None:
        pace, noted, duration_s = of_type.pace, of_type.noted, settled.duration_s
        assert pace is not None
        expected_s = of_type.expected_s()
        if settled.outcome is AttemptOutcome.TIMED_OUT and duration_s > expected_s:
            # It would have taken still longer.
            noted.paces += 1
            noted.pace_sum += log_duration(duration_s)
        chance = None
        if settled.counts_as_skill:
            chance = of_type.success(of_type.outlook(self.sharpness, settled.task.difficulty))
        # Who fails at once is free at once, and so gets the next task, too. Before anybody has
        # succeeded, it is known by having failed more often than all others together.
        if of_type.successes:
            is_hasty = False
        elif pace.type.precisions:
            is_hasty = duration_s < _HASTY * expected_s
        else:
            is_hasty = 2 * of_type.results >= self._commons(settled.task.type).results
        results = card.detector.results if of_type.successes else 0.0
        of_type.breaker.note_failure(
            settled.error_kind, chance, settled.at, results, is_hasty=is_hasty
        )
        if of_type.breaker.is_open:
            of_type.version += 1

    # ------------------------------------------------------------------ cards

    def _card(self, worker: WorkerRecord) -> WorkerCard:
        card = self.workers.get(worker.name)
        if card is None:
            card = self.workers[worker.name] = WorkerCard(worker)
        elif card.profile is not worker.profile:
            card.introduce(worker)
        return card

    def _type_card(self, worker: WorkerRecord, task_type: str) -> TypeCard:
        card = self._card(worker)
        return card.types.get(task_type) or self._add_type(card, worker, task_type)

    def _add_type(self, card: WorkerCard, worker: WorkerRecord, task_type: str) -> TypeCard:
        if len(card.types) >= MAX_TYPES:
            oldest = next(iter(card.types))
            self._drop_type(card, oldest)
            del card.types[oldest]
        return card.add_type(worker, task_type, self._commons(task_type))

    def _drop_type(self, card: WorkerCard, task_type: str) -> None:
        of_type, commons = card.types[task_type], self.types[task_type]
        of_type.skill.withdraw()
        if of_type.pace is not None:
            of_type.pace.withdraw()
        commons.results -= of_type.results
        # Figures that begin anew must not have versions that they had before.
        self._epoch += _EPOCH
        if not any(task_type in each.types for each in self.workers.values() if each is not card):
            del self.types[task_type]

    def _load_worker(self, name: str, section: WorkerSection) -> None:
        self.forget(name)
        self.workers[name] = load_worker(section, name, self._commons, self._ease)

    def _commons(self, task_type: str) -> TypeCommons:
        commons = self.types.get(task_type)
        if commons is None:
            commons = self.types[task_type] = TypeCommons(self.common_ease.mean)
        return commons

    def _ease(self, name: str) -> SharedBelief:
        ease = self.named.get(name)
        if ease is None:
            ease = self.named[name] = SharedBelief(0.0, EASE_DEVIATION)
        return ease

    def _named_card(self, card: WorkerCard, worker: WorkerRecord, name: str) -> TypeCard:
        named = card.named.get(name)
        if named is None:
            named = card.add_named(worker, name, self._ease(name))
        return named
