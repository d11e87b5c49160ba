"""What is known of one worker: its skills, paces, costs and breakers by type of task."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .additive_belief import AdditiveCell, SharedBelief
from .breaker import Breaker
from .change_detector import ChangeDetector, Evidence, weigh_change
from .pace_model import new_pace, new_type_pace, new_worker_pace
from .sharpness import Sharpness
from .skill_model import (
    EASE_DEVIATION,
    GENERAL_DEVIATION,
    believe_declared,
    believe_general,
    expect_special,
    new_skill,
)

if TYPE_CHECKING:
    from .....messages import WorkerProfile
    from ...model.records import WorkerRecord

WORKER_ALARM = 5.0
"""The evidence for a change of all of a worker's skills from which it is taken for changed."""

TYPE_ALARM = 4.0
"""The evidence for a change of a worker's skill for one type from which it is taken for changed."""

KEPT_AT_ALARM = 0.15
"""The part of the evidence that is kept when a skill has changed."""


class TypeCommons:
    """What all workers have in common for one type of task.

    Args:
        none.
    """

    __slots__ = ("ease", "pace")

    def __init__(self) -> None:
        self.ease = SharedBelief(0.0, EASE_DEVIATION)
        self.pace = new_type_pace()


class Outlook(NamedTuple):
    """What is expected of an attempt at a task of one difficulty.

    Args:
        success: the probability of success.
        mean: the mean of the skill.
        variance: its variance.
        evidence: what an outcome would say for a change of the skill.
    """

    success: float
    mean: float
    variance: float
    evidence: Evidence


class TypeCard:
    """What is known of one worker's attempts at one type of task.

    Args:
        skill: its skill.
        pace: its pace.
    """

    __slots__ = (
        "breaker",
        "cost_sum",
        "costs",
        "detector",
        "outlooks",
        "outlooks_version",
        "pace",
        "pending",
        "pending_count",
        "pending_pace",
        "pending_pace_sum",
        "results",
        "skill",
        "successes",
    )

    def __init__(self, skill: AdditiveCell, pace: AdditiveCell | None) -> None:
        self.skill = skill
        self.pace = pace
        self.detector = ChangeDetector(TYPE_ALARM)
        self.breaker = Breaker()
        self.results = 0
        self.successes = 0.0
        self.costs = 0.0
        self.cost_sum = 0.0
        # Outcomes that are counted, but not yet applied: by difficulty and share of success.
        self.pending: dict[tuple[float, float], int] = {}
        self.pending_count = 0
        self.pending_pace = 0
        self.pending_pace_sum = 0.0
        self.outlooks: dict[float, Outlook] = {}
        self.outlooks_version = -1

    def outlook(self, sharpness: Sharpness, difficulty: float) -> Outlook:
        """What is expected of an attempt at a task of this difficulty."""
        skill = self.skill
        version = skill.worker.version + skill.type.version + sharpness.version
        if version != self.outlooks_version:
            self.outlooks.clear()
            self.outlooks_version = version
        known = self.outlooks.get(difficulty)
        if known is None:
            mean, variance = skill.belief()
            margin = mean - difficulty
            known = Outlook(
                sharpness.chance(margin, variance),
                mean,
                variance,
                weigh_change(sharpness, margin, variance),
            )
            self.outlooks[difficulty] = known
        return known


class WorkerCard:
    """What is known of one worker.

    Args:
        worker: its record.
    """

    __slots__ = ("detector", "general", "named", "pace", "profile", "shift", "types")

    def __init__(self, worker: WorkerRecord | None = None) -> None:
        self.profile: WorkerProfile | None = None if worker is None else worker.profile
        # How far the middle of the belief has moved from what is declared, after a change.
        self.shift = 0.0
        declared = 0.0 if worker is None else believe_general(worker)
        self.general = SharedBelief(declared, GENERAL_DEVIATION)
        self.pace = new_worker_pace()
        self.detector = ChangeDetector(WORKER_ALARM)
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

    def take_for_changed(self) -> None:
        """Keep what is believed of all skills, but hold it uncertain."""
        mean = self.general.without("").mean
        self.shift += mean - self.general.mean
        self.general.move_prior(mean)
        for card in self.types.values():
            card.skill.widen(KEPT_AT_ALARM)
