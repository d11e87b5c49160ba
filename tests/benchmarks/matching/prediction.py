"""Reads the chances that a policy predicts."""

from __future__ import annotations

from typing import Any

from muster.agents.kernel.model.records import WorkerRecord
from muster.agents.simulation.reference_policies import Oracle, TrueSkills
from muster.messages import Task


class Predictor:
    """Tells the chance that a policy predicts for a task at a worker.

    Args:
        policy: the instance that plays.
        method: its method that tells.
    """

    def __init__(self, policy: Any, method: Any) -> None:
        self.policy = policy
        self._method = method

    def __call__(self, task: Task, worker: WorkerRecord) -> float:
        return float(self._method(task, worker))


def predictor_of(policy: Any) -> Predictor | None:
    """The predictor of a policy that predicts; None for others."""
    if isinstance(policy, Oracle | TrueSkills):
        return Predictor(policy, policy.score)
    if hasattr(policy, "predicted"):
        return Predictor(policy, policy.predicted)
    if hasattr(policy, "scorecards"):
        return Predictor(
            policy, lambda task, worker: policy.scorecards.chance(worker, task).success
        )
    return None
