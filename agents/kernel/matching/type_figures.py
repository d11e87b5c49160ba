"""What workers have shown with one type of task, looked up anew when it has changed enough."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import TYPE_CHECKING

from ....messages import Task
from .scorecards.scorecards import Scorecards

if TYPE_CHECKING:
    from ..model.records import WorkerRecord

SKILL_STEP = 0.03
"""A change of a skill that is large enough to look at, in units of skill."""

DEVIATION_STEP = 0.1
"""A change of a skill or its uncertainty that is large enough, as a part of the uncertainty."""

PACE_STEP = 0.05
"""A change of a pace or a cost that is large enough, as a part of it."""

_RESULTS_PER_DELAY = 32
_LONGEST_DELAY = 8


class TypeFigures:
    """What all workers have shown with one type of task.

    All lists are by the index of the worker.

    Args:
        task_type: the type.
        workers: the workers.
        scorecards: what they have shown.
    """

    __slots__ = (
        "_due",
        "_scorecards",
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

    def __init__(self, task: Task, workers: Sequence[WorkerRecord], scorecards: Scorecards) -> None:
        self.task_type = task.type
        self._scorecards = scorecards
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
        for index in range(count):
            self.look_up(index, task)

    def note_result(self, index: int, task: Task) -> bool:
        """Note that a worker had a result. Returns whether its figures have changed."""
        due = self._due[index] - 1
        self._due[index] = due
        return due <= 0 and self.look_up(index, task)

    def look_up(self, index: int, task: Task) -> bool:
        """Look a worker up if anything is new. Returns whether its figures have changed."""
        worker, scorecards = self._workers[index], self._scorecards
        version = scorecards.version(worker.name, self.task_type)
        if version == self._versions[index] and index not in self.on_probation:
            return False
        self._versions[index] = version
        skill, variance, results = scorecards.skill(worker, task)
        self.results[index] = results
        self._due[index] = min(1 + results // _RESULTS_PER_DELAY, _LONGEST_DELAY)
        seconds = scorecards.expected_s(worker, task)
        cost = scorecards.expected_cost(worker, task)
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
        return self._scorecards.sharpness.chance(margin, self.variances[index])
