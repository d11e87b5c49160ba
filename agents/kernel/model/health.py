"""Whether a worker is healthy, late or lost, by the time of its last message."""

from __future__ import annotations

from enum import Enum

from .records import WorkerRecord

LATE_AFTER_HEARTBEATS = 2.5
"""The number of heartbeat intervals after which a silent worker is late: two, and some slack."""


class Health(str, Enum):
    """The health of a worker, as observed by its manager."""

    HEALTHY = "healthy"
    LATE = "late"
    LOST = "lost"


def health_of(worker: WorkerRecord, now: float, heartbeat_s: float) -> Health:
    """The health of a worker.

    Args:
        worker: the worker.
        now: the board's time, in seconds.
        heartbeat_s: the interval of its heartbeats, in seconds.

    Returns:
        Lost if it left or was silent for too long; late if it missed some heartbeats, or if a
        resumed run waits for it; otherwise healthy.
    """
    if not worker.alive:
        return Health.LATE if worker.awaited_until is not None else Health.LOST
    is_late = silence_of(worker, now) > LATE_AFTER_HEARTBEATS * heartbeat_s
    return Health.LATE if is_late else Health.HEALTHY


def silence_of(worker: WorkerRecord, now: float) -> float:
    """The time since the last message of a worker, in seconds."""
    return max(now - worker.last_heard_at, 0.0)
