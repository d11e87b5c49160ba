"""Restricts some tasks to one worker each, under any policy."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from ....messages import Task, TaskId
from .policies import MatchingPolicy

if TYPE_CHECKING:
    from ..model.records import WorkerRecord


class AddressedPolicy:
    """A policy that gives some tasks to one named worker each.

    Args:
        policy: decides about all other tasks.
    """

    def __init__(self, policy: MatchingPolicy) -> None:
        self._policy = policy
        # Bounded by the tasks.
        self.addressees: dict[TaskId, str] = {}

    @property
    def name(self) -> str:
        """The name of the wrapped policy."""
        return self._policy.name

    def urgency(self, task: Task, sequence: int) -> tuple[float, ...]:
        """As in the wrapped policy."""
        return self._policy.urgency(task, sequence)

    def group(self, task: Task) -> Hashable:
        """The group of the wrapped policy, separate for each addressee."""
        return self._policy.group(task), self.addressees.get(task.id)

    def obstacle(self, task: Task, worker: WorkerRecord) -> str | None:
        """An obstacle if another worker is the addressee; else that of the wrapped policy.

        The addressee may run its task whatever its skill, because the caller has named it.
        """
        addressee = self.addressees.get(task.id)
        if addressee is None:
            return self._policy.obstacle(task, worker)
        return None if addressee == worker.name else f"the task is addressed to {addressee}"

    def score(self, task: Task, worker: WorkerRecord) -> float:
        """As in the wrapped policy."""
        return self._policy.score(task, worker)
