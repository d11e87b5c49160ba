"""What workers have shown with one type of task, looked up anew when it has changed enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import TYPE_CHECKING, TypeAlias

from ....messages import Task
from .scorecards.scorecards import Scorecards
from .scorecards.sharpness import Sharpness

if TYPE_CHECKING:
    from ..model.records import WorkerRecord

SKILL_STEP = 0.05
"""A change of a skill that is large enough to look at, in units of skill."""

DEVIATION_STEP = 0.15
"""A change of a skill or its uncertainty that is large enough, as a part of the uncertainty."""

PACE_STEP = 0.05
"""A change of a pace or a cost that is large enough, as a part of it."""

FiguresRow: TypeAlias = tuple[float, float, int, float, float, bool, int]
"""Skill, variance, results, seconds, cost, whether it is on probation, and when it is due."""

_RESULTS_PER_DELAY = 32
_LONGEST_DELAY = 8


class TypeFigures:
    """What all workers have shown with one type of task.

    All lists are by the index of the worker.

    Args:
        task_type: the type.
        workers: the workers.
        scorecards: what they have shown.
        sharpness: how sharply success depends on skill.
        known: the rows of earlier figures, by the name of the worker; see `rows`.
    """

    __slots__ = (
        "_due",
        "_scorecards",
        "_sharpness",
        "_versions",
        "_workers",
        "costs",
        "deviations",
        "on_probation",
        "results",
        "seconds",
        "skills",
        "task_type",
        "variances",
    )

    def __init__(
        self,
        task_type: str,
        workers: Sequence[WorkerRecord],
        scorecards: Scorecards,
        sharpness: Sharpness,
        known: Mapping[str, FiguresRow],
    ) -> None:
        self.task_type = task_type
        self._scorecards = scorecards
        self._sharpness = sharpness
        self._workers = workers
        count = len(workers)
        self.skills = [0.0] * count
        self.deviations = [-1.0] * count
        self.variances = [0.0] * count
        self.results = [0] * count
        self.seconds = [1.0] * count
        self.costs = [0.0] * count
        self.on_probation: set[int] = set()
        self._versions = [-2] * count
        self._due = [0] * count
        for index, worker in enumerate(workers):
            row = known.get(worker.name)
            if row is not None:
                self._restore(index, row)
            else:
                self.look_up(index)

    def rows(self) -> dict[str, FiguresRow]:
        """The figures of all workers by name, from which to begin again."""
        return {
            worker.name: (
                self.skills[index],
                self.variances[index],
                self.results[index],
                self.seconds[index],
                self.costs[index],
                index in self.on_probation,
                self._due[index],
            )
            for index, worker in enumerate(self._workers)
        }

    def _restore(self, index: int, row: FiguresRow) -> None:
        skill, variance, results, seconds, cost, is_on_probation, due = row
        self.skills[index], self.variances[index] = skill, variance
        self.deviations[index] = sqrt(variance)
        self.results[index] = results
        self.seconds[index], self.costs[index] = seconds, cost
        self._due[index] = due
        if is_on_probation:
            self.on_probation.add(index)

    def note_results(self, index: int, results: int) -> bool:
        """Note that a worker had results. Returns whether its figures have changed."""
        has_changed = False
        due = max(self._due[index], 1) - results
        while due <= 0:
            due += min(1 + self.results[index] // _RESULTS_PER_DELAY, _LONGEST_DELAY)
            has_changed = self.look_up(index) or has_changed
        self._due[index] = due
        return has_changed

    def look_up(self, index: int) -> bool:
        """Look a worker up if anything is new. Returns whether its figures have changed."""
        worker, scorecards = self._workers[index], self._scorecards
        version = scorecards.version(worker.name, self.task_type)
        if version == self._versions[index] and index not in self.on_probation:
            return False
        self._versions[index] = version
        skill, variance, results, seconds, cost = scorecards.figures(worker, self.task_type)
        self.results[index] = results
        is_on_probation = scorecards.is_on_probation(worker.name, self.task_type)
        deviation = self.deviations[index]
        step = SKILL_STEP + DEVIATION_STEP * deviation
        if (
            abs(skill - self.skills[index]) <= step
            and abs(variance - self.variances[index]) <= DEVIATION_STEP * self.variances[index]
            and abs(seconds - self.seconds[index]) <= PACE_STEP * seconds
            and abs(cost - self.costs[index]) <= PACE_STEP * cost
            and is_on_probation is (index in self.on_probation)
            and deviation >= 0.0
        ):
            return False
        self.skills[index] = skill
        self.variances[index] = variance
        self.deviations[index] = sqrt(variance)
        self.seconds[index] = seconds
        self.costs[index] = cost
        if is_on_probation:
            self.on_probation.add(index)
        else:
            self.on_probation.discard(index)
        return True

    def chance(self, index: int, task: Task) -> float:
        """The chance that a worker does a task of the type."""
        if task.required_skills:
            return self._scorecards.chance(self._workers[index], task).success
        margin = self.skills[index] - task.difficulty
        return self._sharpness.chance(margin, self.variances[index])
