"""Which workers may not have the next attempt at a task, besides what the policy says."""

from __future__ import annotations

from typing import NamedTuple


class Restriction(NamedTuple):
    """The workers that may not have the next attempt at a task.

    Args:
        is_review: whether the attempt is a review, which only workers with a reviewer can do.
        barred: the names of the workers that may not have it: the one whose result is reviewed, or
            those that vote already.
        avoided: the names of the workers that get it only if no other can.
    """

    is_review: bool
    barred: frozenset[str]
    avoided: frozenset[str]
