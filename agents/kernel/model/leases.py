"""The time limit of an attempt, and the result of an attempt whose worker reports none."""

from __future__ import annotations

from ....messages import Task, TaskResult
from .records import Attempt

SIMULATED_TIMEOUT_S = 2.0
"""The default timeout of simulated work, in seconds for each level of difficulty."""

UNSCALED_DEFAULT_TIMEOUT_S = 10.0
"""Up to how many seconds a time scale below 1 does not shorten a default timeout: the work takes
less time then, and the network and a busy machine do not."""


def limit_attempt(task: Task, now: float, time_scale: float) -> tuple[float | None, float | None]:
    """The time limit of an attempt.

    Args:
        task: the task.
        now: the time of the assignment, in seconds.
        time_scale: the real duration of one second of its timeout, in seconds.

    Returns:
        The timeout in seconds, and the deadline by the board's time; None for no limit.
    """
    if task.timeout is not None:
        return task.timeout, now + task.timeout * time_scale
    if task.type:
        return None, None
    timeout_s = SIMULATED_TIMEOUT_S * task.difficulty
    unscaled_s = min(timeout_s, UNSCALED_DEFAULT_TIMEOUT_S)
    return timeout_s, now + max(timeout_s * time_scale, unscaled_s)


def failure_of(attempt: Attempt, error: str, now: float) -> TaskResult:
    """Create a result for an attempt whose worker reports none, or not in time."""
    return TaskResult(
        task_id=attempt.task.task_id,
        worker=attempt.worker.name,
        success=False,
        execution_time=max(now - attempt.started_at, 0.0),
        error_message=error,
        attempt=attempt.number,
    )
