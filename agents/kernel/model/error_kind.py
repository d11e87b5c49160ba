"""The kind of an error message, such as "ValueError" of "ValueError: no such tea"."""

from __future__ import annotations

MAX_KIND_CHARACTERS = 100
"""Longer kinds are cut."""


def error_kind(error: str) -> str:
    """The kind that an error message names before its first colon.

    Error messages begin with their kind: the class of an exception in a handler, or "timed out",
    "worker lost" and the like if the manager gave up an attempt.

    Args:
        error: the error message of a result or a task.
    """
    return error.partition(": ")[0][:MAX_KIND_CHARACTERS]
