"""What is known of one worker: its skills, paces, costs and breakers by type of task."""

from __future__ import annotations

from math import exp
from typing import TYPE_CHECKING, NamedTuple

from .additive_belief import AdditiveCell, SharedBelief
from .breaker import Breaker
from .change_detector import ChangeDetector
from .pace_model import WORKER_DEVIATION, expect_duration_s, new_pace
from .sharpness import Sharpness
from .skill_model import (
    GENERAL_DEVIATION,
    MIDDLE,
    believe_declared,
    believe_general,
    expect_special,
    new_skill,
)
from .type_commons import TypeCommons

if TYPE_CHECKING:
    from .....messages import WorkerProfile
    from ...model.records import WorkerRecord

KEPT_AT_ALARM = 0.1
"""The part of the evidence that is kept at most when a skill has changed."""

CHANGED_DEVIATION = 1.0
"""How uncertain it is by how much a skill has changed, as a standard deviation: however much
evidence there was, what is kept of it is no surer than this."""

BROKEN_PRIOR = -3.5
"""The logarithm of the odds that a worker always fails tasks of a type, before its first result."""

BROKEN_SUCCESS = 0.01
"""The chance of success of a worker that always fails."""

BROKEN_LEAST = -8.0
"""The least logarithm of these odds, so that few failures tell of a change."""

BROKEN_MOST = 8.0
"""The greatest logarithm of these odds, so that few successes tell of a change."""

_COST_WEIGHT = 2.0


class NotedResults:
    """Results of a worker and type that are counted, but not yet taken into account.

    The more results are known, the less one more tells, so it waits for others. That keeps the cost
    of a result low.
    """

    __slots__ = ("cost_sum", "costs", "outcomes", "pace_sum", "paces", "weight")

    def __init__(self) -> None:
        # By difficulty: the number of results, and the sum of their shares of success.
        self.outcomes: dict[float, tuple[int, float]] = {}
        self.weight = 0
        self.paces = 0
        self.pace_sum: float = 0.0
        self.costs = 0
        self.cost_sum: float = 0.0


class Outlook(NamedTuple):
    """What is expected of an attempt at a task of one difficulty, unless the worker is broken.

    Args:
        success: the probability of success.
        mean: the mean of the skill.
        variance: its variance.
    """

    success: float
    mean: float
    variance: float


class TypeCard:
    """What is known of one worker's attempts at one type of task, or with one named skill.

    Args:
        skill: its skill.
        pace: its pace; None for a named skill.
    """

    __slots__ = (
        "_expected_s",
        "_outlooks",
        "_outlooks_version",
        "_pace_version",
        "breaker",
        "broken",
        "cost_sum",
        "costs",
        "noted",
        "pace",
        "results",
        "skill",
        "successes",
        "version",
    )

    def __init__(self, skill: AdditiveCell, pace: AdditiveCell | None) -> None:
        self.skill = skill
        self.pace = pace
        self.breaker = Breaker()
        self.results = 0
        self.successes: float = 0.0
        self.costs: float = 0.0
        self.cost_sum: float = 0.0
        self.broken: float = BROKEN_PRIOR
        self.version = 0
        self.noted = NotedResults()
        self._outlooks: dict[float, Outlook] = {}
        self._outlooks_version = -1
        self._expected_s: float = 0.0
        self._pace_version = -1

    def outlook(self, sharpness: Sharpness, difficulty: float) -> Outlook:
        """What is expected of an attempt at a task of this difficulty."""
        skill = self.skill
        version = skill.version + skill.worker.version + skill.type.version + sharpness.version
        if version != self._outlooks_version:
            self._outlooks.clear()
            self._outlooks_version = version
        known = self._outlooks.get(difficulty)
        if known is None:
            mean, variance = skill.belief()
            known = Outlook(sharpness.chance(mean - difficulty, variance), mean, variance)
            self._outlooks[difficulty] = known
        return known

    def expected_s(self) -> float:
        """How long an attempt takes, in seconds; not for a named skill."""
        pace = self.pace
        assert pace is not None
        version = pace.version + pace.worker.version + pace.type.version
        if version != self._pace_version:
            self._pace_version = version
            self._expected_s = expect_duration_s(pace)
        return self._expected_s

    def expected_cost(self, worker: WorkerRecord) -> float:
        """What an attempt of the worker costs; not for a named skill."""
        declared = worker.cost_per_task
        if worker.cost_per_s:
            declared += worker.cost_per_s * self.expected_s()
        return (self.cost_sum + _COST_WEIGHT * declared) / (self.costs + _COST_WEIGHT)

    def success(self, outlook: Outlook) -> float:
        """The probability of success, as the worker may be broken for the type."""
        healthy = 1.0 / (1.0 + exp(self.broken))
        return healthy * outlook.success + (1.0 - healthy) * BROKEN_SUCCESS

    def judge(self, odds: float) -> float:
        """Update the probability that the worker is broken for the type.

        By Bayes' rule: a mixture of the probit model and of a worker that always fails.

        Args:
            odds: the log likelihood ratio of results for a broken worker.

        Returns:
            The probability that it is not, which is how much the results tell about its skill.
        """
        odds = min(max(self.broken + odds, BROKEN_LEAST), BROKEN_MOST)
        if odds != self.broken:
            self.broken = odds
            self.version += 1
        return 1.0 / (1.0 + exp(odds))


class WorkerCard:
    """What is known of one worker."""

    __slots__ = ("detector", "general", "named", "pace", "profile", "shift", "types")

    def __init__(self, worker: WorkerRecord | None = None) -> None:
        self.profile: WorkerProfile | None = None if worker is None else worker.profile
        # How far the middle of the belief has moved from what is declared, after a change.
        self.shift = 0.0
        declared = MIDDLE if worker is None else believe_general(worker)
        self.general = SharedBelief(declared, GENERAL_DEVIATION)
        self.pace = SharedBelief(0.0, WORKER_DEVIATION)
        self.detector = ChangeDetector()
        self.types: dict[str, TypeCard] = {}
        self.named: dict[str, TypeCard] = {}

    def introduce(self, worker: WorkerRecord) -> None:
        """Take what the worker declares now as the prior; what it has shown stays."""
        self.profile = worker.profile
        expected = believe_general(worker) + self.shift
        if expected != self.general.mean:
            self.general.move_prior(expected)
        for name, card in self.types.items():
            special = expect_special(worker, name)
            if special != card.skill.special:
                card.skill.special = special
                card.skill.tell()
        for name, card in self.named.items():
            level = believe_declared(worker.skills.get(name, 0.0))
            if level != card.skill.worker.mean:
                card.skill.worker.move_prior(level)

    def add_type(self, worker: WorkerRecord, name: str, commons: TypeCommons) -> TypeCard:
        """Make the card of a type."""
        special = expect_special(worker, name)
        card = TypeCard(
            new_skill(self.general, commons.ease, worker.name, name, special),
            new_pace(self.pace, commons.pace, worker.name, name),
        )
        self.types[name] = card
        return card

    def add_named(self, worker: WorkerRecord, name: str, ease: SharedBelief) -> TypeCard:
        """Make the card of a named skill."""
        level = SharedBelief(believe_declared(worker.skills.get(name, 0.0)), GENERAL_DEVIATION)
        card = TypeCard(new_skill(level, ease, worker.name, name, 0.0), None)
        self.named[name] = card
        return card

    def take_for_changed(self, shift: float) -> None:
        """Believe that all skills have changed, and hold them uncertain.

        Args:
            shift: by how much they have changed.
        """
        mean, _ = self.general.without("")
        mean += shift
        self.shift += mean - self.general.mean
        self.general.move_prior(mean)
        for card in self.types.values():
            spread = card.skill.precision * CHANGED_DEVIATION * CHANGED_DEVIATION
            card.skill.shift(shift, 1.0 / max(spread, 1.0 / KEPT_AT_ALARM))
