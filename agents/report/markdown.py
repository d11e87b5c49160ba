"""The report as Markdown, for issues, chats and pages of a repository."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from ...messages import TaskStatus
from ..kernel.model.records import AttemptOutcome
from .formatting import clip, format_cost, format_duration, format_grade, format_share
from .model import RunReport
from .skill_map import DIFFICULTY
from .timeline import Timeline, TimelineRow, make_timeline
from .words import (
    MAX_SAVINGS_CHARACTERS,
    NO_TYPE,
    describe_cost,
    describe_deadlines,
    describe_health,
    describe_losses,
    describe_savings,
    is_anything_lost,
    name_of_column,
    rare_figures,
)

MAX_TASKS_LISTED = 200
"""How many tasks are listed: first those that did not complete, then the first of the others."""

MAX_LISTED = 50
"""How many workers and kinds of errors are listed."""

_MAX_CELL_CHARACTERS = 160
_TIMELINE_CELLS = 60
_MAX_NAME_CELLS = 20

_MARKS: Sequence[tuple[AttemptOutcome | None, str]] = (
    (AttemptOutcome.LOST, "!"),
    (AttemptOutcome.TIMED_OUT, "t"),
    (AttemptOutcome.FAILED, "x"),
    (AttemptOutcome.CANCELLED, "c"),
    (AttemptOutcome.REJECTED, "r"),
    (AttemptOutcome.DECLINED, "d"),
    (AttemptOutcome.OVERTAKEN, "o"),
    (AttemptOutcome.POSTPONED, "p"),
    (AttemptOutcome.RETURNED, "b"),
    (None, ">"),
    (AttemptOutcome.SUCCEEDED, "#"),
)
"""The sign of each outcome on the timeline; a cell with several outcomes shows the first one."""

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~&@])")
_FENCE = re.compile(r"`{3,}")

_Row = TypeVar("_Row")


def render_markdown(report: RunReport, diagram: str | None = None) -> str:
    """Render a report as Markdown.

    Args:
        report: the report.
        diagram: the run as a Mermaid sequence diagram.
    """
    blocks = [
        *_opening(report),
        *_timeline(make_timeline(report)),
        *_workers(report),
        *_skills(report),
        *_difficulties(report),
        *_types(report),
        *_costs(report),
        *_errors(report),
        *_tasks(report),
    ]
    if diagram:
        fence = max([3, *(len(each) + 1 for each in _FENCE.findall(diagram))]) * "`"
        blocks += ["## Sequence diagram", f"{fence}mermaid\n{diagram.rstrip()}\n{fence}"]
    return "\n\n".join(blocks) + "\n"


def _opening(report: RunReport) -> Iterator[str]:
    yield f"# {_cell(report.name)}"
    completed = report.counts.get(TaskStatus.COMPLETED, 0)
    of_all = f"{completed:,} of {len(report.tasks):,} tasks completed"
    headline = f"{of_all} ({format_share(report.success_rate)})" if report.tasks else "No tasks"
    yield f"**{headline}** in {format_duration(report.duration)}."
    if report.failure is not None:
        yield f"The run failed: {_cell(report.failure)}"
    rows = [
        *((status.label, f"{report.counts.get(status, 0):,}") for status in TaskStatus),
        ("Workers", f"{len(report.workers):,}"),
        *((("Lost", describe_losses(report)),) if is_anything_lost(report) else ()),
        ("Work", format_duration(report.total_time)),
        ("Mean time", format_duration(report.mean_time)),
        ("Policy", _cell(report.policy)),
    ]
    if deadlines := describe_deadlines(report):
        rows.append(("Deadlines missed", deadlines))
    if report.has_costs:
        rows.append(("Cost", _cell(describe_cost(report))))
    if report.quality is not None:
        rows.append(("Quality", format_grade(report.quality)))
    yield _table(("Summary", ">"), rows)


def _timeline(timeline: Timeline) -> Iterator[str]:
    if not timeline.rows:
        return
    yield "## Timeline"
    width = min(max(len(row.worker) for row in timeline.rows), _MAX_NAME_CELLS)
    lines = [
        f"{_plain(row.worker, width):<{width}} |{_strip(row, timeline.length_s)}|"
        + (f" lost at {format_duration(row.left_s)}" if row.left_s is not None else "")
        for row in timeline.rows
    ]
    if timeline.hidden:
        lines.append(f"... {timeline.hidden:,} more workers")
    yield "\n".join(["```text", *lines, "```"])
    signs = ", ".join(
        f"`{sign}` {'running' if outcome is None else outcome.value}"
        for outcome, sign in reversed(_MARKS)
    )
    yield f"From 0 to {format_duration(timeline.length_s)}: {signs}."


def _strip(row: TimelineRow, length_s: float) -> str:
    """One worker's time as a row of signs."""
    cells = [" "] * _TIMELINE_CELLS
    joined = _cell_at(row.joined_s, length_s)
    left = _TIMELINE_CELLS if row.left_s is None else _cell_at(row.left_s, length_s)
    cells[joined:left] = "." * max(left - joined, 0)
    for outcome, sign in reversed(_MARKS):
        for bar in row.bars:
            if bar.outcome is outcome:
                first = min(_cell_at(bar.began_s, length_s), _TIMELINE_CELLS - 1)
                last = max(_cell_at(bar.ended_s, length_s), first + 1)
                cells[first:last] = sign * (last - first)
    return "".join(cells)


def _cell_at(at_s: float, length_s: float) -> int:
    return round(_TIMELINE_CELLS * at_s / length_s)


def _workers(report: RunReport) -> Iterator[str]:
    workers = report.workers
    if not workers:
        return
    yield "## Workers"
    rare = rare_figures(report)
    shown = _first(list(workers.items()), lambda item: item[1].lost, MAX_LISTED)
    rows = [
        (
            _cell(name),
            describe_health(worker),
            str(worker.skill_level),
            f"{worker.slots:,}",
            f"{worker.completed:,}",
            format_share(worker.success_rate),
            format_duration(worker.mean_time),
            format_share(worker.busy_share),
            *(tell(worker) for tell in rare.values()),
        )
        for name, worker in shown
    ]
    headings = ("Worker", "Health", ">Skill", ">Slots", ">Attempts", ">Success")
    yield _table((*headings, ">Mean time", ">Busy", *(f">{heading}" for heading in rare)), rows)
    yield from _more(len(workers) - len(shown), "workers")
    for held in report.held_slots[:MAX_LISTED]:
        yield f"- {_cell(held)}"
    yield from _more(len(report.held_slots) - MAX_LISTED, "held slots")


def _skills(report: RunReport) -> Iterator[str]:
    if not report.skills:
        return
    yield "## What workers have shown"
    shown = report.skills[:MAX_TASKS_LISTED]
    rows = [
        (
            _cell(cell.worker),
            _cell(name_of_column(cell)),
            f"{cell.skill:.1f} ± {cell.deviation:.1f}",
            format_share(cell.chance),
            f"{cell.results:,}",
            format_duration(cell.pace_s),
            format_cost(cell.cost),
            _cell(cell.blocked or ""),
        )
        for cell in shown
    ]
    headings = ("Worker", "Type", ">Skill", f">Chance at {DIFFICULTY}", ">Results", ">Pace")
    yield _table((*headings, ">Cost", "Blocked"), rows)
    yield from _more(len(report.skills) - len(shown), "pairs of a worker and a type")


def _types(report: RunReport) -> Iterator[str]:
    if len(report.by_type) <= 1:
        return
    yield "## Success by type"
    shown = list(report.by_type.items())[:MAX_LISTED]
    rows = [
        (
            _cell(name or NO_TYPE),
            f"{group.completed:,}",
            f"{group.tasks:,}",
            format_share(group.success_rate),
            format_cost(group.cost),
            format_grade(group.quality),
        )
        for name, group in shown
    ]
    yield _table(("Type", ">Completed", ">Of", ">Success", ">Cost", ">Quality"), rows)
    yield from _more(len(report.by_type) - len(shown), "types")


def _costs(report: RunReport) -> Iterator[str]:
    models, days = list(report.by_model.items()), list(reversed(report.cost_by_day.items()))
    if not (models or len(days) > 1 or report.savings):
        return
    yield "## Costs"
    if report.savings is not None:
        told = describe_savings(report.savings, report.cost_unit)
        yield f"Learning: {_escaped(told, MAX_SAVINGS_CHARACTERS)}."
    if models:
        rows = [
            (
                _cell(name),
                f"{each.attempts:,}",
                f"{each.tokens_in:,}",
                f"{each.tokens_out:,}",
                format_cost(each.cost),
            )
            for name, each in models[:MAX_LISTED]
        ]
        yield _table(("Model", ">Attempts", ">Tokens in", ">Tokens out", ">Cost"), rows)
        yield from _more(len(models) - MAX_LISTED, "models")
    if len(days) > 1:
        shown = [(day, format_cost(cost)) for day, cost in days[:MAX_LISTED]]
        yield _table(("Day", ">Cost"), shown)
        yield from _more(len(days) - MAX_LISTED, "days")


def _difficulties(report: RunReport) -> Iterator[str]:
    if not report.by_difficulty:
        return
    yield "## Success by difficulty"
    rows = [
        (str(level), f"{group.completed:,}", f"{group.tasks:,}", format_share(group.success_rate))
        for level, group in report.by_difficulty.items()
    ]
    yield _table((">Difficulty", ">Completed", ">Of", ">Success"), rows)


def _errors(report: RunReport) -> Iterator[str]:
    counted = (
        ("Tasks given up", report.error_counts),
        ("Results ignored", report.ignored),
        ("Frames dropped", report.dropped),
    )
    if not any(counts for _, counts in counted):
        return
    yield "## Errors"
    for heading, counts in counted:
        if counts:
            listed = list(counts.items())[:MAX_LISTED]
            yield _table((heading, ">Count"), [(_cell(kind), f"{n:,}") for kind, n in listed])
            yield from _more(len(counts) - len(listed), "kinds")


def _tasks(report: RunReport) -> Iterator[str]:
    tasks = report.tasks
    if not tasks:
        return
    yield "## Tasks"
    shown = _first(tasks, lambda task: task.status is not TaskStatus.COMPLETED, MAX_TASKS_LISTED)
    rows = [
        (
            _cell(str(task.id)),
            _cell(task.description),
            task.status.label,
            _cell(task.worker),
            str(task.difficulty),
            f"{task.attempts:,}",
            format_duration(task.execution_time),
            *((format_cost(task.cost),) if report.has_costs else ()),
            _cell(task.error_message or ""),
        )
        for task in shown
    ]
    headings = ("Task", "Description", "Status", "Worker", ">Difficulty", ">Attempts", ">Time")
    costs = (">Cost",) if report.has_costs else ()
    yield _table((*headings, *costs, "Error"), rows)
    yield from _more(len(tasks) - len(shown), "tasks")


def _first(rows: Sequence[_Row], is_troubled: Callable[[_Row], bool], most: int) -> Sequence[_Row]:
    """A limited number of rows: those with trouble and the first of the others, in their order."""
    if len(rows) <= most:
        return rows
    indexes = sorted(range(len(rows)), key=lambda index: not is_troubled(rows[index]))[:most]
    return [rows[index] for index in sorted(indexes)]


def _more(count: int, what: str) -> Iterator[str]:
    if count > 0:
        yield f"… {count:,} more {what}"


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; columns whose heading begins with ">" contain numbers."""
    rule = ["---:" if heading.startswith(">") else "---" for heading in headings]
    lines = [[heading.removeprefix(">") for heading in headings], rule, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    """An untrusted text on one line, escaped."""
    return _escaped(text, _MAX_CELL_CHARACTERS)


def _escaped(text: str, longest: int) -> str:
    return _SPECIAL.sub(r"\\\1", _plain(text, longest))


def _plain(text: str, longest: int) -> str:
    shown = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return clip(shown, longest).encode(errors="replace").decode()
