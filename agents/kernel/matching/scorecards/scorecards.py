"""Scorecards: what workers have shown, and what can be expected of them for a task."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import TYPE_CHECKING, NamedTuple

from .....messages import Payload, Task
from ...model.records import AttemptOutcome
from .additive_belief import SharedBelief
from .card_state import load_sharpness, load_worker, save_sharpness, save_worker
from .pace_model import expect_duration_s, log_duration, observe_pace
from .scorecard_file import (
    FORMAT,
    VERSION,
    SkillsFile,
    WorkerSection,
    read_shared_row,
    read_skills_file,
    read_worker_row,
    write_section,
)
from .sharpness import Sharpness
from .skill_model import EASE_DEVIATION, observe_outcomes, scale_level
from .worker_card import KEPT_AT_ALARM, TypeCard, TypeCommons, WorkerCard

if TYPE_CHECKING:
    from ...model.records import WorkerRecord
    from ..learning_policy import SettledAttempt

SHARED_ROW = ""
"""The key of the row of what is common to all workers."""

_GRADED = {
    AttemptOutcome.SUCCEEDED: 1.0,
    AttemptOutcome.REJECTED: 0.0,
    AttemptOutcome.FAILED: 0.0,
    AttemptOutcome.TIMED_OUT: 0.0,
}
_COST_WEIGHT = 2.0
_COSTS_REMEMBERED = 0.98
_PATIENCE = 16
_LONGEST_PATIENCE = 32
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

    Args:
        none; it begins with no results. `restore` begins with earlier ones.
    """

    def __init__(self) -> None:
        self.sharpness = Sharpness()
        self.workers: dict[str, WorkerCard] = {}
        self.types: dict[str, TypeCommons] = {}
        self.named: dict[str, SharedBelief] = {}
        self._buffer: list[SettledAttempt] = []
        self._changed: set[str] = set()

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
        if len(buffer) > 1:
            buffer.sort(key=_canonical)
        for settled in buffer:
            self._take(settled)

    def chance(self, worker: WorkerRecord, task: Task) -> Chance:
        """What is expected of an attempt of this worker at this task."""
        card = self._card(worker)
        of_type = card.types.get(task.type) or self._add_type(card, worker, task.type)
        outlook = of_type.outlook(self.sharpness, task.difficulty)
        success = outlook.success
        if task.required_skills:
            for name, level in task.required_skills.items():
                named = self._named_card(card, worker, name)
                success *= named.outlook(self.sharpness, scale_level(level)).success
        return Chance(success, outlook.mean, sqrt(outlook.variance), of_type.results)

    def expected_s(self, worker: WorkerRecord, task: Task) -> float:
        """How long an attempt of this worker at this task will take, in seconds."""
        pace = self._type_card(worker, task.type).pace
        assert pace is not None
        return expect_duration_s(pace)

    def expected_cost(self, worker: WorkerRecord, task: Task) -> float:
        """What an attempt of this worker at this task will cost, in the manager's unit of cost.

        The mean of what its attempts at the type have cost; what its rates say counts as two more.
        """
        card = self._type_card(worker, task.type)
        declared = worker.cost_per_task
        if worker.cost_per_s:
            declared += worker.cost_per_s * self.expected_s(worker, task)
        return (card.cost_sum + _COST_WEIGHT * declared) / (card.costs + _COST_WEIGHT)

    def is_blocked(self, worker: WorkerRecord, task_type: str, now: float) -> str | None:
        """Why the worker gets no task of this type now; None if it may.

        After a pause, a blocked worker gets one task at a time as a probe: give it an easy one.
        """
        card = self.workers.get(worker.name)
        of_type = None if card is None else card.types.get(task_type)
        if of_type is None or not of_type.breaker.reason:
            return None
        breaker = of_type.breaker
        if now < breaker.probes_from:
            left_s = breaker.probes_from - now
            return f"{breaker.describe(task_type)}; next probe in {left_s:.0f} s"
        for each in (*worker.running.values(), *worker.prefetched.values()):
            if each.task.type == task_type:
                return f"{breaker.describe(task_type)}; a probe is running"
        return None

    def is_on_probation(self, worker_name: str, task_type: str) -> bool:
        """Whether a task of this type would be a probe, so that it should be an easy one."""
        card = self.workers.get(worker_name)
        of_type = None if card is None else card.types.get(task_type)
        return of_type is not None and of_type.breaker.is_open

    def probes_from(self, worker_name: str, task_type: str) -> float | None:
        """When a blocked worker gets its next probe, in seconds of the board; None if it is not."""
        card = self.workers.get(worker_name)
        of_type = None if card is None else card.types.get(task_type)
        if of_type is None or not of_type.breaker.is_open:
            return None
        return of_type.breaker.probes_from

    def version(self, worker_name: str, task_type: str) -> int:
        """A number that changes when the figures of the worker for the type change."""
        card = self.workers.get(worker_name)
        of_type = None if card is None else card.types.get(task_type)
        if card is None or of_type is None:
            return -1
        skill, pace = of_type.skill, of_type.pace
        assert pace is not None
        version = skill.worker.version + skill.type.version + self.sharpness.version
        version += pace.worker.version + pace.type.version
        for each in card.named.values():
            version += each.skill.worker.version + each.skill.type.version
        return version

    # ------------------------------------------------------------------ keeping

    def export(self) -> dict[str, Payload]:
        """All scorecards as the content of a skills file, which `restore` reads."""
        self.settle()
        workers = {name: save_worker(card) for name, card in sorted(self.workers.items())}
        content = SkillsFile(shared=save_sharpness(self.sharpness), workers=workers)
        return {"format": FORMAT, "version": VERSION, **write_section(content)}

    @classmethod
    def restore(cls, content: Mapping[str, Payload]) -> Scorecards:
        """Scorecards that decide as the exported ones.

        Raises:
            InvalidInput: the content is not valid; the message names the place and the value.
        """
        read = read_skills_file(content)
        scorecards = cls()
        if read.shared is not None:
            load_sharpness(read.shared, scorecards.sharpness)
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
            return write_section(save_sharpness(self.sharpness))
        return write_section(save_worker(self.workers[name]))

    def load_row(self, name: str, row: Mapping[str, Payload]) -> None:
        """Load a row that `worker_row` returned.

        Raises:
            InvalidInput: the row is not valid; the message names the place and the value.
        """
        if name == SHARED_ROW:
            load_sharpness(read_shared_row(row), self.sharpness)
        else:
            self._load_worker(name, read_worker_row(row, name))

    # ------------------------------------------------------------------ learning

    def _take(self, settled: SettledAttempt) -> None:
        worker, task = settled.worker, settled.task
        outcome = settled.outcome
        graded = _GRADED.get(outcome)
        if graded is None:
            return
        card = self._card(worker)
        of_type = card.types.get(task.type) or self._add_type(card, worker, task.type)
        self._changed.add(worker.name)
        if settled.cost or of_type.costs:
            of_type.cost_sum = of_type.cost_sum * _COSTS_REMEMBERED + settled.cost
            of_type.costs = of_type.costs * _COSTS_REMEMBERED + 1.0
        succeeded = outcome is AttemptOutcome.SUCCEEDED
        outlook = of_type.outlook(self.sharpness, task.difficulty)
        if succeeded:
            of_type.breaker.note_success()
        elif outcome is not AttemptOutcome.REJECTED:
            self._note_failure(of_type, settled, outlook.success)
        if succeeded or outcome is AttemptOutcome.TIMED_OUT:
            self._note_duration(of_type, settled.duration_s, at_least=not succeeded)
        if not settled.counts_as_skill:
            return
        # A grade lowers a success. It raises a rejection, but not a failure, which grades itself.
        if settled.quality is not None and (succeeded or outcome is AttemptOutcome.REJECTED):
            graded = settled.quality
        of_type.results += 1
        of_type.successes += graded
        if task.required_skills:
            self._learn_named(card, of_type, worker, task, graded)
        else:
            self._learn_skill(card, of_type, task.difficulty, graded)

    def _learn_skill(
        self, card: WorkerCard, of_type: TypeCard, difficulty: float, success: float
    ) -> None:
        evidence = of_type.outlook(self.sharpness, difficulty).evidence
        key = (difficulty, success)
        of_type.pending[key] = of_type.pending.get(key, 0) + 1
        of_type.pending_count += 1
        type_changed = of_type.detector.notice(evidence, success)
        worker_changed = card.detector.notice(evidence, success)
        patience = min(of_type.results // _PATIENCE, _LONGEST_PATIENCE)
        if of_type.pending_count > patience or type_changed or worker_changed:
            if worker_changed:
                card.take_for_changed()
                of_type.detector.reset()
            elif type_changed:
                of_type.skill.widen(KEPT_AT_ALARM)
            self._apply(of_type)

    def _apply(self, of_type: TypeCard) -> None:
        pending = of_type.pending
        for difficulty, success in sorted(pending):
            count = pending[difficulty, success]
            observe_outcomes(of_type.skill, self.sharpness, difficulty, success, count)
        pending.clear()
        of_type.pending_count = 0
        of_type.skill.tell()

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
        whole = 1.0
        for each in chances:
            whole *= each
        for (part, level), chance in zip(parts, chances, strict=True):
            innocent = (chance - whole) / (1.0 - whole)
            if part is not of_type:
                part.results += 1
                part.successes += success
            observe_outcomes(
                part.skill, self.sharpness, level, success + (1.0 - success) * innocent, 1
            )
            part.skill.tell()

    def _note_failure(self, of_type: TypeCard, settled: SettledAttempt, chance: float) -> None:
        expected = chance if settled.counts_as_skill else None
        pace = of_type.pace
        is_hasty = (
            pace is not None
            and bool(pace.type.precisions)
            and settled.duration_s < _HASTY * expect_duration_s(pace)
        )
        of_type.breaker.note_failure(settled.error_kind, expected, settled.at, is_hasty=is_hasty)

    def _note_duration(self, of_type: TypeCard, duration_s: float, *, at_least: bool) -> None:
        pace = of_type.pace
        assert pace is not None
        if at_least and duration_s <= expect_duration_s(pace):
            # It would have taken longer, which is what is expected anyway.
            return
        of_type.pending_pace += 1
        of_type.pending_pace_sum += log_duration(duration_s)
        if of_type.pending_pace > min(of_type.results // _PATIENCE, _LONGEST_PATIENCE):
            observe_pace(pace, of_type.pending_pace_sum, of_type.pending_pace)
            of_type.pending_pace = 0
            of_type.pending_pace_sum = 0.0

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
        return card.add_type(worker, task_type, self._commons(task_type))

    def _load_worker(self, name: str, section: WorkerSection) -> None:
        self.workers[name] = load_worker(section, name, self._commons, self._ease)

    def _commons(self, task_type: str) -> TypeCommons:
        commons = self.types.get(task_type)
        if commons is None:
            commons = self.types[task_type] = TypeCommons()
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


def _canonical(settled: SettledAttempt) -> tuple[object, ...]:
    task, quality = settled.task, settled.quality
    return (
        settled.worker.name,
        task.type,
        settled.at,
        task.difficulty,
        settled.outcome.value,
        settled.error_kind,
        -1.0 if quality is None else quality,
        settled.duration_s,
        settled.cost,
        settled.counts_as_skill,
        sorted(task.required_skills.items()),
    )
