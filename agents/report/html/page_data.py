"""The tasks of a run as JSON inside the page, from which its script draws the table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from pydantic import JsonValue

from ....messages import TaskStatus
from ...kernel.model.records import AttemptOutcome
from ..formatting import clip
from ..json_value import to_json_value
from ..model import RunReport, TaskReport

_TEXT_LIMITS = (4_000, 1_000, 300, 100, 40)
"""How many characters of each text of a task are kept: the first with which all fits."""

_MOST_HISTORY_AT = 1_000
"""From which limit on only the last attempt at a task is told."""

STATUSES = tuple(TaskStatus)
OUTCOMES: tuple[AttemptOutcome | None, ...] = (None, *AttemptOutcome)

_UNSAFE = {ord(each): f"\\u{ord(each):04x}" for each in "<>&\u2028\u2029"}
"""What could end a script element, or a line of an old one; in JSON only texts can hold them."""


class PageData(NamedTuple):
    """The tasks, as far as there is room for them.

    Args:
        json: them as JSON that can stand in a script element.
        left_out: how many tasks are not in it.
        is_shortened: whether texts of those that are had to be cut off.
    """

    json: str
    left_out: int
    is_shortened: bool


def embed_tasks(report: RunReport, room_bytes: int) -> PageData:
    """Write a run's tasks as JSON of a limited size.

    Where there is too little room, first long texts are cut off; then tasks that succeeded are left
    out, and at last others.

    Args:
        report: the run.
        room_bytes: how large the JSON may be.
    """
    tasks: Sequence[TaskReport] = report.tasks
    told, limit = "", 0
    for limit in _TEXT_LIMITS:
        told = _write(report, tasks, limit)
        if len(told) <= room_bytes:
            return PageData(told, 0, limit < _TEXT_LIMITS[0])
    while len(told) > room_bytes:
        kept = len(tasks) * room_bytes // (len(told) + 1)
        # Sorting keeps the order of those that are alike.
        chosen = sorted(
            range(len(tasks)), key=lambda place: tasks[place].status is TaskStatus.COMPLETED
        )[:kept]
        tasks = [tasks[place] for place in sorted(chosen)]
        told = _write(report, tasks, limit)
    return PageData(told, len(report.tasks) - len(tasks), True)


def _write(report: RunReport, tasks: Sequence[TaskReport], limit: int) -> str:
    workers: dict[str, int] = {}
    rows: list[JsonValue] = [_row(task, report.started_at, workers, limit) for task in tasks]
    data: dict[str, JsonValue] = {
        "statuses": [[status.value, status.label] for status in STATUSES],
        "outcomes": ["running", *(ending.value for ending in AttemptOutcome)],
        "workers": [clip(name, 200) for name in workers],
        "tasks": rows,
    }
    # ASCII alone, so that characters are bytes.
    return json.dumps(data, separators=(",", ":")).translate(_UNSAFE)


def _row(
    task: TaskReport, started_at: float, workers: dict[str, int], limit: int
) -> list[JsonValue]:
    def place_of(worker: str) -> int:
        return workers.setdefault(worker, len(workers))

    history: list[JsonValue] = [
        [
            attempt.number,
            place_of(attempt.worker),
            _milliseconds(attempt.started_at - started_at),
            None if attempt.ended_at is None else _milliseconds(attempt.ended_at - started_at),
            OUTCOMES.index(attempt.outcome),
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
        place_of(task.worker) if task.worker else None,
        task.attempts,
        None if task.execution_time is None else _milliseconds(task.execution_time),
        None if task.waited is None else _milliseconds(task.waited),
        clip(task.error_message or "", limit),
        _cut("\n".join(task.why), limit),
        "" if task.output is None else _cut(_show_output(task), limit),
        _cut(", ".join(str(each) for each in task.depends_on[:100]), limit),
        "" if task.parent_id is None else clip(str(task.parent_id), 200),
        history,
    ]
    return row


def _milliseconds(seconds: float) -> float | int:
    milliseconds = round(1_000 * seconds, 1)
    return int(milliseconds) if milliseconds.is_integer() else milliseconds


def _show_output(task: TaskReport) -> str:
    value = to_json_value(task.output)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _cut(text: str, limit: int) -> str:
    shown = text if len(text) <= limit else f"{text[:limit]}…"
    # Half of a surrogate pair is no character.
    return shown.encode(errors="backslashreplace").decode()
