"""Whether declared skills may be believed: until results contradict them too often."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ....messages import Task
from ..model.records import AttemptOutcome
from .policies import effective_skill

if TYPE_CHECKING:
    from ..model.records import WorkerRecord
    from .learning_policy import SettledAttempt

BELIEVED_TO = 0.1
"""Declared skills are believed until more than this share of the results contradicts them."""

BELIEVED_AGAIN_AT = 0.02
"""They are believed again once this share or less contradicts them."""


# A module constant, because access to an enum member takes long.
_SUCCEEDED = AttemptOutcome.SUCCEEDED


class DeclaredSkills:
    """Counts results that the declared skills predicted, and results that contradict them.

    A result contradicts them if a worker fails a task that it should be able to do, or does one
    that should be too difficult.
    """

    __slots__ = ("are_believed", "contradictions", "results")

    def __init__(self) -> None:
        self.results = 0
        self.contradictions = 0
        self.are_believed = True
        """Whether declared skills decide."""

    def learn(self, settled: Iterable[SettledAttempt]) -> None:
        """Count the attempts that tell something about skill."""
        for task, worker, _, outcome, _, _, _, _, counts_as_skill, _ in settled:
            if not counts_as_skill:
                continue
            self.results += 1
            if (outcome is _SUCCEEDED) is not is_declared_able(task, worker):
                self.contradictions += 1
            limit = BELIEVED_TO if self.are_believed else BELIEVED_AGAIN_AT
            self.are_believed = self.contradictions <= limit * self.results


def is_declared_able(task: Task, worker: WorkerRecord) -> bool:
    """Whether a worker can do a task by the skills that it declares."""
    # Most workers need no bonus.
    difficulty = task.difficulty
    if worker.skill_level < difficulty and effective_skill(task, worker) < difficulty:
        return False
    if not task.required_skills:
        return True
    skills = worker.skills
    return all(skills.get(name, 0.0) >= level for name, level in task.required_skills.items())
