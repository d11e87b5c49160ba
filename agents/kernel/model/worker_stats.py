"""The statistics of a worker."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class WorkerStats:
    """The statistics of a worker over all its sessions.

    Args:
        completed_tasks: the number of attempts that succeeded, failed or timed out.
        successful_tasks: the number of attempts that succeeded.
        total_time: the duration of these attempts as the worker reports it, in seconds.
        busy_time: the time for which its slots were taken, summed over slots, in seconds.
        cost: what its attempts have cost, in the manager's unit.
    """

    completed_tasks: int = 0
    successful_tasks: int = 0
    total_time: float = 0.0
    busy_time: float = 0.0
    cost: float = 0.0

    @property
    def success_rate(self) -> float:
        """The share of attempts that succeeded, 0 to 1; 0 before the first has ended."""
        return self.successful_tasks / self.completed_tasks if self.completed_tasks else 0.0
