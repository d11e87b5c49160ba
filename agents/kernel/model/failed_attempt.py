"""The error of a task's last failed attempt, with its traceback."""

from __future__ import annotations

from typing import NamedTuple


class FailedAttempt(NamedTuple):
    """The error of a failed attempt and its traceback.

    Args:
        error: the error message.
        traceback: the traceback as text.
    """

    error: str
    traceback: str
