"""What all workers have in common for a type of task, and all types of tasks together."""

from __future__ import annotations

from math import fsum

from .additive_belief import SharedBelief
from .pace_model import TYPE_DEVIATION
from .skill_model import COMMON_EASE_DEVIATION, EASE_DEVIATION

_SHIFT_TO_PUBLISH = 0.1
_EASE_VARIANCE = EASE_DEVIATION * EASE_DEVIATION
_UPDATES_BETWEEN = 8
_TYPES_PER_UPDATE = 4


class TypeCommons:
    """What all workers have in common for one type of task."""

    __slots__ = ("ease", "pace", "results")

    def __init__(self, ease: float) -> None:
        self.ease = SharedBelief(ease, EASE_DEVIATION)
        self.pace = SharedBelief(0.0, TYPE_DEVIATION)
        # The number of results of all workers.
        self.results = 0


class CommonEase:
    """How much easier all types are than their tasks' difficulty says, workers' boasts included.

    The mean of the types' ease, shrunk to 0, becomes the prior of each type's ease. It follows in
    small steps, and is computed the less often the more types there are.
    """

    __slots__ = ("due", "mean", "updates")

    def __init__(self) -> None:
        self.mean = 0.0
        self.updates = 0
        self.due = 1

    def count_update(self, types: dict[str, TypeCommons]) -> None:
        """Count an update of a skill, and compute the mean if it is due."""
        self.updates += 1
        if self.updates < self.due:
            return
        precisions = [1.0 / (COMMON_EASE_DEVIATION * COMMON_EASE_DEVIATION)]
        weights: list[float] = []
        for each in types.values():
            precision, weight = each.ease.evidence()
            if precision:
                part = 1.0 / (1.0 + precision * _EASE_VARIANCE)
                precisions.append(precision * part)
                weights.append(weight * part)
        self.due = self.updates + min(
            self.updates, _UPDATES_BETWEEN + len(weights) // _TYPES_PER_UPDATE
        )
        mean = fsum(weights) / fsum(precisions)
        if abs(mean - self.mean) > _SHIFT_TO_PUBLISH:
            self.mean = mean
            for each in types.values():
                each.ease.move_prior(mean)
