"""What a lease allows, and what stands in for a result when its worker gives none."""

from __future__ import annotations

from ....messages import Task, TaskResult
from .records import Attempt

SIMULATED_TIMEOUT_S = 2.0
"""Seconds a level of difficulty that simulated work may take if its task names no timeout."""

SHORTEST_DEFAULT_TIMEOUT_S = 1.0
"""The least it is given, in real seconds: a network takes a moment, however fast the story."""


def limit_attempt(task: Task, now: float, time_scale: float) -> tuple[float | None, float | None]:
    """How long an attempt may take.

    Args:
        task: the task.
        now: when it is assigned, in seconds.
        time_scale: how many seconds a second of its timeout lasts.

    Returns:
        The seconds of the story that it may take, and until when that is; None for no limit.
    """
    if task.timeout is not None:
        return task.timeout, now + task.timeout * time_scale
    if task.type:
        return None, None
    timeout_s = SIMULATED_TIMEOUT_S * task.difficulty
    return timeout_s, now + max(timeout_s * time_scale, SHORTEST_DEFAULT_TIMEOUT_S)


def failure_of(attempt: Attempt, error: str, now: float) -> TaskResult:
    """The result of an attempt whose worker can give none, or not in time."""
    return TaskResult(
        task_id=attempt.task.task_id,
        worker=attempt.worker.name,
        success=False,
        execution_time=max(now - attempt.started_at, 0.0),
        error_message=error,
        attempt=attempt.number,
    )
