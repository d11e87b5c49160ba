"""Reports made by hand, for the tests of what is shown of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.report.model import RunReport, TaskReport, WorkerReport
from muster.messages import TaskId, TaskStatus

OUTCOMES = {
    TaskStatus.COMPLETED: True,
    TaskStatus.FAILED: False,
    TaskStatus.CANCELLED: False,
}


def make_task(
    task_id: TaskId, status: TaskStatus = TaskStatus.COMPLETED, **fields: Any
) -> TaskReport:
    """Make the report of a task that a worker called Ada had for 2 seconds."""
    given: dict[str, Any] = {
        "id": task_id,
        "description": f"task number {task_id}",
        "type": "",
        "difficulty": 1,
        "priority": 0,
        "status": status,
        "worker": "Ada",
        "attempts": 1,
        "success": OUTCOMES.get(status),
        "execution_time": 2.0 if status in {TaskStatus.COMPLETED, TaskStatus.FAILED} else None,
        "waited": 0.5,
        "error_message": None,
        "output": None,
        "why": [],
        "depends_on": [],
        "parent_id": None,
    }
    return TaskReport(**{**given, **fields})


def make_worker(**fields: Any) -> WorkerReport:
    """Make the report of a worker that did one task."""
    given: dict[str, Any] = {
        "skill_level": 5,
        "specialties": [],
        "slots": 1,
        "completed": 1,
        "succeeded": 1,
        "success_rate": 1.0,
        "total_time": 2.0,
        "mean_time": 2.0,
        "busy_share": 0.5,
        "lost": False,
    }
    return WorkerReport(**{**given, **fields})


def make_report(tasks: list[TaskReport], **fields: Any) -> RunReport:
    """Make the report of a run of these tasks."""
    counts = Counter(task.status for task in tasks)
    times = [task.execution_time for task in tasks if task.execution_time is not None]
    given: dict[str, Any] = {
        "name": "task_manager",
        "started_at": 1_000.0,
        "duration": 4.0,
        "policy": "best_fit",
        "success_rate": counts[TaskStatus.COMPLETED] / len(tasks) if tasks else 1.0,
        "counts": {status: counts[status] for status in TaskStatus},
        "tasks": tasks,
        "workers": {},
        "error_counts": {},
        "total_time": sum(times),
        "mean_time": sum(times) / len(times) if times else None,
        "ignored": {},
        "dropped": {},
        "failure": None,
    }
    return RunReport(**{**given, **fields})


@pytest.fixture
def task_report() -> Callable[..., TaskReport]:
    """Makes the report of a task."""
    return make_task


@pytest.fixture
def worker_report() -> Callable[..., WorkerReport]:
    """Makes the report of a worker."""
    return make_worker


@pytest.fixture
def run_report() -> Callable[..., RunReport]:
    """Makes the report of a run."""
    return make_report
