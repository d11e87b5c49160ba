"""Tasks that only one worker may have, under whichever policy."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from ....messages import Task, TaskId
from .policies import MatchingPolicy

if TYPE_CHECKING:
    from ..model.records import WorkerRecord


class AddressedPolicy:
    """A policy under which some tasks are meant for one worker each.

    Args:
        policy: what decides about all other tasks.
    """

    def __init__(self, policy: MatchingPolicy) -> None:
        self._policy = policy
        # Bounded by the tasks.
        self.addressees: dict[TaskId, str] = {}

    @property
    def name(self) -> str:
        """What the policy beneath is called."""
        return self._policy.name

    def urgency(self, task: Task, sequence: int) -> tuple[float, ...]:
        """As the policy beneath has it."""
        return self._policy.urgency(task, sequence)

    def group(self, task: Task) -> Hashable:
        """The group of the policy beneath, apart for each addressee."""
        return self._policy.group(task), self.addressees.get(task.id)

    def obstacle(self, task: Task, worker: WorkerRecord) -> str | None:
        """That the task is meant for another worker; else what the policy beneath says.

        An addressee gets its task whatever its skill: whoever named it has decided that.
        """
        addressee = self.addressees.get(task.id)
        if addressee is None:
            return self._policy.obstacle(task, worker)
        return None if addressee == worker.name else f"the task is meant for {addressee}"

    def score(self, task: Task, worker: WorkerRecord) -> float:
        """As the policy beneath has it."""
        return self._policy.score(task, worker)
