"""The tasks of a run as JSON in the page; the page's script makes the table from it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pydantic import JsonValue

from ....messages import TaskStatus
from ...kernel.model.records import AttemptOutcome
from ..formatting import clip
from ..json_value import to_json_value
from ..model import RunReport, TaskReport
from ..words import describe_terms
from .task_table import columns_of

_TEXT_LIMITS = (4_000, 1_000, 300, 100, 40)
"""Limits on the length of each text of a task; the first with which all fits is used."""

_MOST_HISTORY_AT = 1_000
"""With a limit below this, only the last attempt of each task is included."""

MAX_KINDS_LISTED = 50
"""How many kinds of errors are listed."""

STATUSES = tuple(TaskStatus)
OUTCOMES: tuple[AttemptOutcome | None, ...] = (None, *AttemptOutcome)

_UNSAFE = {ord(each): f"\\u{ord(each):04x}" for each in "<>&\u2028\u2029"}
"""Characters that could end a script element or a line; JSON has them in texts only."""


class PageData(NamedTuple):
    """The tasks, as far as there is room for them.

    Args:
        json: JSON that is safe in a script element.
        left_out: how many tasks it does not contain.
        is_shortened: whether texts were shortened.
    """

    json: str
    left_out: int
    is_shortened: bool


def embed_tasks(report: RunReport, room_bytes: int) -> PageData:
    """Write a run's tasks as JSON of a limited size.

    If there is too little room, first long texts are shortened; then tasks that succeeded are left
    out, and finally others.

    Args:
        report: the report.
        room_bytes: the maximum size of the JSON.
    """
    tasks: Sequence[TaskReport] = report.tasks
    text, limit = "", 0
    for limit in _TEXT_LIMITS:
        text = _write(report, tasks, limit)
        if len(text) <= room_bytes:
            return PageData(text, 0, limit < _TEXT_LIMITS[0])
    while len(text) > room_bytes:
        kept = len(tasks) * room_bytes // (len(text) + 1)
        # Sorting is stable.
        chosen = sorted(
            range(len(tasks)), key=lambda index: tasks[index].status is TaskStatus.COMPLETED
        )[:kept]
        tasks = [tasks[index] for index in sorted(chosen)]
        text = _write(report, tasks, limit)
    return PageData(text, len(report.tasks) - len(tasks), True)


def kinds_of(report: RunReport) -> Sequence[str]:
    """The kinds of error by which the tasks can be filtered: the most frequent ones."""
    return [kind for kind, count in report.error_counts.items() if count][:MAX_KINDS_LISTED]


def _write(report: RunReport, tasks: Sequence[TaskReport], limit: int) -> str:
    workers: dict[str, int] = {}
    kinds = {kind: place for place, kind in enumerate(kinds_of(report))}
    rows: list[JsonValue] = [_row(task, report.started_at, workers, kinds, limit) for task in tasks]
    data: dict[str, JsonValue] = {
        "statuses": [[status.value, status.label] for status in STATUSES],
        "outcomes": ["running", *(ending.value for ending in AttemptOutcome)],
        "workers": [clip(name, 200) for name in workers],
        "columns": [column.heading for column in columns_of(report)],
        "kinds": [clip(kind, 100) for kind in kinds],
        "tasks": rows,
        "unit": clip(report.cost_unit, 40) if report.has_costs else "",
    }
    # It is pure ASCII: one byte per character.
    return json.dumps(data, separators=(",", ":")).translate(_UNSAFE)


def _row(
    task: TaskReport,
    started_at: float,
    workers: dict[str, int],
    kinds: Mapping[str, int],
    limit: int,
) -> list[JsonValue]:
    def index_of(worker: str) -> int:
        return workers.setdefault(worker, len(workers))

    history: list[JsonValue] = [
        [
            attempt.number,
            index_of(attempt.worker),
            _milliseconds(attempt.started_at - started_at),
            None if attempt.ended_at is None else _milliseconds(attempt.ended_at - started_at),
            OUTCOMES.index(attempt.outcome),
            _short(attempt.cost),
            attempt.quality,
            int(attempt.is_review),
        ]
        for attempt in (task.history if limit >= _MOST_HISTORY_AT else task.history[-1:])
    ]
    row: list[JsonValue] = [
        task.id if isinstance(task.id, int) else clip(task.id, 200),
        clip(task.description, limit),
        clip(task.type, limit),
        task.difficulty,
        task.priority,
        STATUSES.index(task.status),
        index_of(task.worker) if task.worker else None,
        task.attempts,
        None if task.execution_time is None else _milliseconds(task.execution_time),
        None if task.waited is None else _milliseconds(task.waited),
        clip(task.error_message or "", limit),
        _cut("\n".join(task.why), limit),
        "" if task.output is None else _cut(_show_output(task), limit),
        _cut(", ".join(str(each) for each in task.depends_on[:100]), limit),
        "" if task.parent_id is None else clip(str(task.parent_id), 200),
        history,
        _short(task.cost),
        task.quality,
        _cut(describe_terms(task), limit),
        kinds.get(task.kind_of_error),
        None if task.late_s is None else _milliseconds(task.late_s),
        _cut(task.error_traceback or "", limit),
    ]
    return row


def _short(cost: float) -> float | int:
    return int(cost) if cost.is_integer() else float(f"{cost:.6g}")


def _milliseconds(seconds: float) -> float | int:
    milliseconds = round(1_000 * seconds, 1)
    return int(milliseconds) if milliseconds.is_integer() else milliseconds


def _show_output(task: TaskReport) -> str:
    value = to_json_value(task.output)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _cut(text: str, limit: int) -> str:
    shown = text if len(text) <= limit else f"{text[:limit]}…"
    # Half of a surrogate pair is not a character.
    return shown.encode(errors="backslashreplace").decode()
