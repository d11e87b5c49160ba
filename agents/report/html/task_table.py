"""The table of tasks as plain HTML: what the page shows without its script, or until it has run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from markupsafe import Markup

from ....messages import TaskStatus
from ..formatting import clip, format_cost, format_duration, format_grade
from ..model import RunReport, TaskReport

MAX_ROWS_BYTES = 150_000
"""The maximum size of the rows; the page's script has the other tasks as data."""

SHORT_NAME_CHARACTERS = 14
"""Longer ids and names of workers are divided into several lines on a narrow screen."""

LONG_NAME_CHARACTERS = 40
"""Longer ids and names of workers are divided into several lines everywhere."""

_MAX_TEXT_CHARACTERS = 300
_MAX_TRACEBACK_CHARACTERS = 2_000


@dataclass(frozen=True)
class TaskColumn:
    """A column of the table.

    Args:
        heading: its heading, by which the page's script knows it.
        tell: what a task has in it; "" for nothing.
        css_class: the class of its cells.
    """

    heading: str
    tell: Callable[[TaskReport], str]
    css_class: str = "n"


class PlainRows(NamedTuple):
    """The rows of the table.

    Args:
        rows: a row for each task that there is room for.
        left_out: how many tasks have none.
    """

    rows: Sequence[Markup]
    left_out: int


def columns_of(report: RunReport) -> list[TaskColumn]:
    """The columns of the table, without those that are empty for every task."""
    return [
        column
        for column in _COLUMNS
        if (report.has_costs if column.heading == "Cost" else any(map(column.tell, report.tasks)))
    ]


def draw_rows(report: RunReport) -> PlainRows:
    """Draw as many rows as there is room for: first those of tasks that did not complete."""
    tasks, columns = report.tasks, columns_of(report)
    # Sorting is stable.
    order = sorted(range(len(tasks)), key=lambda place: tasks[place].status is TaskStatus.COMPLETED)
    rows: dict[int, Markup] = {}
    room = MAX_ROWS_BYTES
    for place in order:
        row = _draw_row(tasks[place], columns)
        room -= len(row.encode(errors="replace"))
        if room < 0:
            break
        rows[place] = row
    return PlainRows([rows[place] for place in sorted(rows)], len(tasks) - len(rows))


def name_class(name: str) -> str:
    """The CSS class of an id or a name, by its length."""
    if len(name) <= SHORT_NAME_CHARACTERS:
        return "name"
    return "name longer" if len(name) <= LONG_NAME_CHARACTERS else "long"


def _draw_row(task: TaskReport, columns: Sequence[TaskColumn]) -> Markup:
    return Markup("<tr>{}</tr>").format(
        Markup("").join(_draw_cell(task, column) for column in columns)
    )


def _draw_cell(task: TaskReport, column: TaskColumn) -> Markup:
    text = column.tell(task)
    css_class = name_class(text) if column.css_class == "name" else column.css_class
    content = Markup("{}").format(text or "-")
    if column.heading == "Status":
        content = Markup('<i class="s-{}"></i>{}').format(task.status.value, text)
    elif column.heading == "Description":
        content = Markup("{}").format(text)
        if task.error_message:
            error = clip(task.error_message, _MAX_TEXT_CHARACTERS)
            content += Markup('<span class="error">{}</span>').format(error)
        if task.error_traceback:
            content += Markup(
                '<details><summary>Traceback</summary><pre tabindex="0">{}</pre></details>'
            ).format(task.error_traceback[-_MAX_TRACEBACK_CHARACTERS:])
    return Markup('<td class="{}">{}</td>').format(css_class, content)


def _tell_duration(seconds: float | None) -> str:
    return "" if seconds is None else format_duration(seconds)


_COLUMNS: Sequence[TaskColumn] = (
    TaskColumn("Task", lambda task: clip(str(task.id), 200), "name"),
    TaskColumn("Description", lambda task: clip(task.description, _MAX_TEXT_CHARACTERS), "what"),
    TaskColumn("Type", lambda task: clip(task.type, _MAX_TEXT_CHARACTERS), "name"),
    TaskColumn("Status", lambda task: task.status.label, "status"),
    TaskColumn("Worker", lambda task: clip(task.worker, 200), "name"),
    TaskColumn("Difficulty", lambda task: str(task.difficulty)),
    TaskColumn("Attempts", lambda task: f"{task.attempts:,}"),
    TaskColumn("Waited", lambda task: _tell_duration(task.waited)),
    TaskColumn("Time", lambda task: _tell_duration(task.execution_time)),
    TaskColumn("Late", lambda task: _tell_duration(task.late_s)),
    TaskColumn("Cost", lambda task: format_cost(task.cost)),
    TaskColumn("Quality", lambda task: "" if task.quality is None else format_grade(task.quality)),
)
