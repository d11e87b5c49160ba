"""The clock of an attempt that is suspended: its timeout stands still, and it does no work."""

from __future__ import annotations

from .records import Attempt


def suspend(attempt: Attempt, reason: str, now: float) -> None:
    """Stop the clock of an attempt's timeout, because it waits for something.

    Args:
        attempt: the attempt.
        reason: what it waits for, for people.
        now: the time in seconds.
    """
    deadline = attempt.deadline
    attempt.suspended_for, attempt.suspended_at = reason, now
    attempt.left_s = None if deadline is None else max(deadline - now, 0.0)
    attempt.deadline = None


def resume(attempt: Attempt, now: float) -> None:
    """Let the clock of an attempt's timeout go on; without effect if it is not suspended.

    Args:
        attempt: the attempt.
        now: the time in seconds.
    """
    if attempt.suspended_at is None:
        return
    attempt.suspended_s += now - attempt.suspended_at
    attempt.deadline = None if attempt.left_s is None else now + attempt.left_s
    attempt.suspended_for, attempt.suspended_at, attempt.left_s = "", None, None


def worked_s(attempt: Attempt, now: float) -> float:
    """For how long an attempt has held its slot, in seconds.

    Args:
        attempt: the attempt.
        now: the time in seconds.
    """
    until = now if attempt.suspended_at is None else attempt.suspended_at
    return until - attempt.started_at - attempt.suspended_s
