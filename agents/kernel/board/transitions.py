"""Every legal change of a task's status."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from ....messages import TaskStatus


class Cause(str, Enum):
    """Why a task's status changes."""

    ASSIGNED = "assigned"
    SUCCEEDED = "succeeded"
    FAILED_FOR_GOOD = "failed for good"
    TO_BE_RETRIED = "to be retried"
    WORKER_LOST = "worker lost"
    LOST_TOO_OFTEN = "lost too often"
    GIVEN_BACK = "given back"
    TO_BE_REVIEWED = "to be reviewed or voted on"
    CANCELLED = "cancelled"
    UPSTREAM_FAILED = "upstream failed"
    NOBODY_CAN = "nobody can"
    EXPIRED = "expired"
    LATE = "late"
    DECLINED = "declined"
    DECLINED_BY_ALL = "declined by all"
    TRIED_AGAIN = "tried again"


TRANSITIONS: Mapping[tuple[TaskStatus, Cause], TaskStatus] = {
    (TaskStatus.PENDING, Cause.ASSIGNED): TaskStatus.IN_PROGRESS,
    # A late success counts even if the task was requeued.
    (TaskStatus.PENDING, Cause.SUCCEEDED): TaskStatus.COMPLETED,
    (TaskStatus.PENDING, Cause.CANCELLED): TaskStatus.CANCELLED,
    (TaskStatus.PENDING, Cause.UPSTREAM_FAILED): TaskStatus.CANCELLED,
    (TaskStatus.PENDING, Cause.NOBODY_CAN): TaskStatus.FAILED,
    (TaskStatus.PENDING, Cause.EXPIRED): TaskStatus.FAILED,
    (TaskStatus.PENDING, Cause.LATE): TaskStatus.FAILED,
    (TaskStatus.IN_PROGRESS, Cause.SUCCEEDED): TaskStatus.COMPLETED,
    (TaskStatus.IN_PROGRESS, Cause.FAILED_FOR_GOOD): TaskStatus.FAILED,
    (TaskStatus.IN_PROGRESS, Cause.TO_BE_RETRIED): TaskStatus.PENDING,
    (TaskStatus.IN_PROGRESS, Cause.WORKER_LOST): TaskStatus.PENDING,
    (TaskStatus.IN_PROGRESS, Cause.LOST_TOO_OFTEN): TaskStatus.FAILED,
    (TaskStatus.IN_PROGRESS, Cause.GIVEN_BACK): TaskStatus.PENDING,
    (TaskStatus.IN_PROGRESS, Cause.TO_BE_REVIEWED): TaskStatus.PENDING,
    (TaskStatus.IN_PROGRESS, Cause.CANCELLED): TaskStatus.CANCELLED,
    (TaskStatus.IN_PROGRESS, Cause.DECLINED): TaskStatus.PENDING,
    (TaskStatus.IN_PROGRESS, Cause.DECLINED_BY_ALL): TaskStatus.FAILED,
    # It was prefetched and waits at its worker for a slot.
    (TaskStatus.IN_PROGRESS, Cause.EXPIRED): TaskStatus.FAILED,
    (TaskStatus.IN_PROGRESS, Cause.LATE): TaskStatus.FAILED,
    (TaskStatus.FAILED, Cause.TRIED_AGAIN): TaskStatus.PENDING,
    (TaskStatus.CANCELLED, Cause.TRIED_AGAIN): TaskStatus.PENDING,
}
"""Every legal change of a task's status; all others are refused."""
