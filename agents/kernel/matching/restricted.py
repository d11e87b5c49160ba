"""Obstacles of attempts that not every worker may have: reviews, and further votes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ....messages import Task
from ..model.restriction import Restriction
from .policies import MatchingPolicy, describe_shortfall, find_obstacle

if TYPE_CHECKING:
    from ..model.records import WorkerRecord


def find_restricted_obstacle(
    policy: MatchingPolicy, task: Task, restriction: Restriction | None, worker: WorkerRecord
) -> str | None:
    """Why a worker can't have the next attempt at a task; None if it can.

    A reviewer needs a reviewer for the type, but neither a handler nor the skill to do the work.

    Args:
        policy: the matching policy.
        task: the task.
        restriction: the workers that may not have the attempt; None if all may.
        worker: the worker.
    """
    if restriction is None:
        return find_obstacle(policy, task, worker)
    if restriction.is_review:
        if task.type not in worker.review_types:
            return f"has no reviewer for {task.type!r}"
        return "did the work that is to be reviewed" if worker.name in restriction.barred else None
    if worker.name in restriction.barred:
        return "has voted, or is about to"
    return find_obstacle(policy, task, worker)


def describe_restricted_shortfall(
    policy: MatchingPolicy,
    task: Task,
    restriction: Restriction | None,
    workers: Iterable[WorkerRecord],
) -> str:
    """Why none of these workers can have the next attempt at a task."""
    if restriction is None:
        return describe_shortfall(policy, task, workers)
    if restriction.is_review:
        reviewers = sorted(each.name for each in workers if task.type in each.review_types)
        if not reviewers:
            return f"no connected worker has a reviewer for {task.type!r}"
        return f"only {reviewers[0]} has a reviewer for {task.type!r}, and did the work itself"
    others = [each for each in workers if each.name not in restriction.barred]
    if not others:
        return "all connected workers have voted"
    return describe_shortfall(policy, task, others)
