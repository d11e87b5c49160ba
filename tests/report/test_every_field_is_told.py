"""What is known of tasks, results and workers is shown, or left out on purpose.

Reports, the API's views and the live page list by hand what they show. So a field that is added to
a task, a result or a profile is named by this test until it is shown, or stands below.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
from muster.agents.kernel.model.occurrences import Occurrence
from muster.agents.kernel.model.records import Attempt
from muster.agents.kernel.model.worker_stats import WorkerStats
from muster.agents.live.api_models import StoryLine, TaskView, WholeTask, WorkerView
from muster.agents.report.model import AttemptReport, TaskReport, WorkerReport
from muster.messages import Task, TaskResult, WorkerProfile

from ..every_field import names_of


class Shown(NamedTuple):
    """A class whose fields a view shows.

    Args:
        of: whose fields.
        by: the view that shows them.
        as_: those that it calls by another name.
        left_out: those that it does not show.
    """

    of: type[Any]
    by: type[Any]
    as_: Mapping[str, str] = {}
    left_out: frozenset[str] = frozenset()


RESULT_IN_TASK = {"task_id": "id", "attempt": "attempts"}

LIMITS = frozenset({"timeout", "max_attempts", "retry", "max_losses", "not_before"})
"""That an attempt met them, and until when the task waits, is seen."""

RELATIONS = frozenset({"run_if", "takes_output", "on_parent_cancel"})
"""What follows from them is told in the task's story."""

OF_THE_ATTEMPT = frozenset({"cost_unit", "declined", "retry_after_s", "gives_up", "usage"})
"""All costs are in the run's unit; that an attempt was declined or postponed is its outcome, and
what it has used of a model is told with it."""

TYPES = frozenset({"task_types", "at_most_once_types"})
"""A worker's types are known by the tasks that it gets."""

SHOWN = [
    # The data are the user's own, and may be large.
    Shown(Task, TaskReport, left_out=LIMITS | RELATIONS | {"data"}),
    Shown(Task, TaskView, left_out=LIMITS | RELATIONS | {"data"}),
    Shown(Task, WholeTask, left_out=LIMITS | RELATIONS),
    Shown(TaskResult, TaskReport, RESULT_IN_TASK, OF_THE_ATTEMPT),
    Shown(
        TaskResult,
        WholeTask,
        {**RESULT_IN_TASK, "error_message": "error"},
        # Whether it succeeded is its status.
        left_out=OF_THE_ATTEMPT | {"success"},
    ),
    # A report has its workers by their names.
    Shown(WorkerProfile, WorkerReport, left_out=TYPES | {"name"}),
    Shown(WorkerProfile, WorkerView, {"skill_level": "skill"}, TYPES),
    Shown(
        WorkerStats,
        WorkerReport,
        {
            "completed_tasks": "completed",
            "successful_tasks": "succeeded",
            "busy_time": "busy_share",
        },
    ),
    Shown(
        Attempt,
        AttemptReport,
        {"usage": "model"},
        left_out=frozenset(
            {
                # It stands in the report of this.
                "task",
                "timeout_s",
                "deadline",
                # What the manager goes by while it runs.
                "is_reported",
                "is_prefetched",
                "is_recalled",
                "is_displaced",
                "grant",
                "suspended_for",
                "suspended_at",
                "suspended_s",
                "left_s",
                "asked_at",
                "expected_s",
                "duration",
                "reserved",
                # Until it is decided whether it is the result of the task.
                "result",
            }
        ),
    ),
    Shown(Occurrence, StoryLine, {"facts": "detail"}, left_out=frozenset({"task_id"})),
]


@pytest.mark.parametrize(
    "shown", SHOWN, ids=lambda shown: f"{shown.of.__name__} in {shown.by.__name__}"
)
def test_every_field_is_shown_or_left_out_on_purpose(shown: Shown) -> None:
    fields, known = set(names_of(shown.of)), set(names_of(shown.by))
    told = {name for name in fields if shown.as_.get(name, name) in known}
    assert fields - told - shown.left_out == set(), "neither shown nor left out on purpose"
    assert shown.left_out <= fields - told, "left out on purpose, but shown, or no field any more"
    assert shown.as_.keys() <= fields
