"""What a notebook shows of a report: how it stands, and its tasks, those that failed first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ...messages import TaskId, TaskStatus
from ...messages.html_table import html_table

_ORDER = (TaskStatus.FAILED, TaskStatus.CANCELLED, TaskStatus.IN_PROGRESS, TaskStatus.PENDING)


class ShownTask(Protocol):
    """What is shown of a task."""

    id: TaskId
    description: str
    status: TaskStatus
    worker: str
    attempts: int
    error_message: str | None


class ShownReport(Protocol):
    """What is shown of a report."""

    name: str
    counts: dict[TaskStatus, int]
    duration: float
    failure: str | None


def report_table(report: ShownReport, tasks: Sequence[ShownTask]) -> str:
    """A report as an HTML table.

    Args:
        report: the report.
        tasks: its tasks.
    """
    counts = ", ".join(
        f"{count:,} {status.label.lower()}" for status, count in report.counts.items() if count
    )
    failure = f"; {report.failure}" if report.failure else ""
    order = {status: place for place, status in enumerate(_ORDER)}
    return html_table(
        f"run {report.name!r}: {counts or 'no tasks'} in {report.duration:,.1f} s{failure}",
        ("task", "description", "status", "worker", "attempts", "error"),
        (
            (
                task.id,
                task.description,
                task.status.label,
                task.worker,
                task.attempts,
                task.error_message,
            )
            for task in sorted(tasks, key=lambda task: order.get(task.status, len(order)))
        ),
        len(tasks),
    )
