"""Renders the HTML page from the template, style and script in this folder."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime, timezone
from functools import cache
from importlib.resources import files
from typing import TypedDict

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from ....messages import InvalidDiagram, TaskStatus
from ...diagram.sequence_svg import draw_sequence
from ...diagram.sequence_syntax import read_sequence
from ...kernel.model.health import Health
from ...kernel.model.records import AttemptOutcome
from ..formatting import clip, format_cost, format_duration, format_grade, format_share
from ..model import RunReport, TaskReport, WorkerReport
from ..skill_map import DIFFICULTY, make_skill_map
from ..timeline import Timeline, make_timeline
from ..words import (
    MAX_SAVINGS_CHARACTERS,
    NO_TYPE,
    describe_deadlines,
    describe_health,
    describe_savings,
    rare_figures,
)
from .page_data import MAX_KINDS_LISTED, embed_tasks, kinds_of
from .task_table import columns_of, draw_rows, name_class
from .timeline_svg import OUTCOMES, draw_timeline, outcome_class

MAX_PAGE_BYTES = 2_900_000
"""The maximum size of the page; of a larger run it shows as much as there is room for."""

MAX_WORKERS_LISTED = 200
"""How many workers are listed: first the lost and late ones, then the first of the others."""

MAX_DIAGRAM_CHARACTERS = 200_000
"""The maximum length of the diagram."""

MAX_DRAWING_BYTES = 300_000
"""The maximum size of the drawing of the diagram; a larger one is shown as text only."""

_MAX_HELD_CHARACTERS = 300
_MAX_NAME_CHARACTERS = 100
_MAX_UNIT_CHARACTERS = 20
_MAX_FAILURE_CHARACTERS = 2_000


class _Tile(TypedDict):
    label: str
    value: str
    note: str


class _WorkerLine(TypedDict):
    name: str
    worker: WorkerReport
    health: str
    presence: str


def render_html(report: RunReport, diagram: str | None = None) -> str:
    """Render a report as a self-contained HTML page.

    Args:
        report: the report.
        diagram: the run as a Mermaid sequence diagram; it is drawn, and shown as text.
    """
    script, style = _read("page.js"), _read("page.css")
    timeline = make_timeline(report)
    template = _template()
    context: dict[str, object] = {
        "report": report,
        "name": clip(report.name, _MAX_NAME_CHARACTERS),
        "failure": clip(report.failure or "", _MAX_FAILURE_CHARACTERS),
        "policy": clip(report.policy, _MAX_NAME_CHARACTERS),
        "began": _format_time(report.started_at),
        "verdict": _verdict(report),
        "standing": _standing(report),
        "tiles": _tiles(report),
        "shares": _shares(report),
        "statuses": list(TaskStatus),
        "timeline": timeline,
        "timeline_svg": draw_timeline(timeline),
        "outcomes": _outcomes_of(timeline),
        "workers": _worker_lines(report),
        "unit": clip(report.cost_unit, _MAX_UNIT_CHARACTERS),
        "rare_figures": rare_figures(report),
        "skill_map": make_skill_map(report.skills),
        "skill_difficulty": DIFFICULTY,
        "types": list(report.by_type.items())[:MAX_KINDS_LISTED],
        "types_hidden": max(len(report.by_type) - MAX_KINDS_LISTED, 0),
        "has_types": len(report.by_type) > 1 or (report.has_costs and bool(report.by_type)),
        **_costs(report),
        "workers_hidden": max(len(report.workers) - MAX_WORKERS_LISTED, 0),
        "held_slots": [
            clip(each, _MAX_HELD_CHARACTERS) for each in report.held_slots[:MAX_KINDS_LISTED]
        ],
        "errors": _listed(report.error_counts),
        "kinds": [clip(kind, _MAX_NAME_CHARACTERS) for kind in kinds_of(report)],
        "columns": columns_of(report),
        "plain": draw_rows(report),
        "ignored": _listed(report.ignored),
        "dropped": _listed(report.dropped),
        "diagram": _cut_lines(diagram or ""),
        "drawing": _draw_diagram(diagram or ""),
        "script": Markup(script),  # noqa: S704 - our own file
        "script_hash": _hash(script),
        "style": Markup(style),  # noqa: S704 - our own file
        "style_hash": _hash(style),
    }
    bare = template.render(**context, data=None)
    room_bytes = MAX_PAGE_BYTES - len(bare.encode(errors="replace"))
    data = embed_tasks(report, max(room_bytes, 100_000))
    page = template.render(**context, data=data, data_json=Markup(data.json))  # noqa: S704 - escaped
    # Half of a surrogate pair is not a character; untrusted texts may contain one.
    return page.encode(errors="replace").decode()


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["duration"] = format_duration
    environment.filters["share"] = format_share
    environment.filters["cost"] = format_cost
    environment.filters["grade"] = format_grade
    environment.filters["type"] = _name_of_type
    environment.filters["tint"] = tint_of
    environment.filters["name_class"] = name_class
    return environment.from_string(_read("page.html.jinja"))


def _read(name: str) -> str:
    return (files(__package__ or "") / name).read_text(encoding="utf-8")


def _hash(source: str) -> str:
    """The hash of a script or style in the Content-Security-Policy, which allows no other."""
    digest = hashlib.sha256(source.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _format_time(at: float) -> str:
    try:
        return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"second {at:,.0f}"


def _verdict(report: RunReport) -> str:
    counts, whole = report.counts, len(report.tasks)
    completed = counts.get(TaskStatus.COMPLETED, 0)
    if not whole:
        return "No tasks"
    if completed == whole:
        return "The task completed" if completed == 1 else f"All {completed:,} tasks completed"
    others = [
        f"{counts[status]:,} {status.label.lower()}"
        for status in (TaskStatus.FAILED, TaskStatus.CANCELLED)
        if counts.get(status, 0)
    ]
    return ", ".join([f"{completed:,} of {whole:,} tasks completed", *others])


def _standing(report: RunReport) -> tuple[str, str]:
    """How the run stands, as a CSS class and a word."""
    unwell = report.counts.get(TaskStatus.FAILED, 0) + report.counts.get(TaskStatus.CANCELLED, 0)
    if report.failure is not None:
        return "bad", "failed"
    if report.exit_code == 0:
        return "good", "succeeded"
    if unwell:
        return "bad", f"{format_share(unwell / len(report.tasks))} did not succeed"
    return "open", "ended early" if report.has_ended else "not finished"


def _tiles(report: RunReport) -> list[_Tile]:
    lost = sum(worker.lost for worker in report.workers.values())
    retries = sum(_count_retries(task) for task in report.tasks)
    settled = sum(
        count for status, count in report.counts.items() if status.is_final and report.duration > 0
    )
    pace = f"{settled / report.duration:,.1f} settled a second" if settled else ""
    mean = "" if report.mean_time is None else f"{format_duration(report.mean_time)} a task"
    tiles: list[_Tile] = [
        {"label": "Success", "value": format_share(report.success_rate), "note": "of all tasks"},
        {"label": "Duration", "value": format_duration(report.duration), "note": pace},
        {"label": "Work", "value": format_duration(report.total_time), "note": mean},
        {
            "label": "Workers",
            "value": f"{len(report.workers):,}",
            "note": f"{lost:,} lost" if lost else "no worker lost",
        },
        {"label": "Further attempts", "value": f"{retries:,}", "note": "after the first ones"},
    ]
    if report.attempts_lost:
        note = f"{report.tasks_lost:,} failed for it" if report.tasks_lost else "no task lost"
        tiles.append({"label": "Attempts lost", "value": f"{report.attempts_lost:,}", "note": note})
    if deadlines := describe_deadlines(report):
        count, _, whole = deadlines.partition(" ")
        tiles.append({"label": "Deadlines missed", "value": count, "note": whole})
    if report.has_costs:
        tiles.append(
            {
                "label": "Cost",
                "value": format_cost(report.cost, clip(report.cost_unit, _MAX_UNIT_CHARACTERS)),
                "note": _describe_budget(report),
            }
        )
    if report.quality is not None:
        tiles.append(
            {"label": "Quality", "value": format_grade(report.quality), "note": "the mean grade"}
        )
    return tiles


def _costs(report: RunReport) -> dict[str, object]:
    models = [
        (
            name,
            *(f"{n:,}" for n in (each.attempts, each.tokens_in, each.tokens_out)),
            format_cost(each.cost),
        )
        for name, each in report.by_model.items()
    ]
    days = [(day, format_cost(cost)) for day, cost in reversed(report.cost_by_day.items())]
    savings = report.savings
    learning = "" if savings is None else describe_savings(savings, report.cost_unit)
    return {
        "learning": clip(learning, MAX_SAVINGS_CHARACTERS),
        "models": models[:MAX_KINDS_LISTED],
        "models_hidden": max(len(models) - MAX_KINDS_LISTED, 0),
        "days": days[:MAX_KINDS_LISTED] if len(days) > 1 else [],
        "days_hidden": max(len(days) - MAX_KINDS_LISTED, 0),
    }


def _describe_budget(report: RunReport) -> str:
    if report.budget is None:
        return "no budget"
    left = format_cost(report.budget_left) if report.budget_left else "none"
    return f"{left} left of {format_cost(report.budget)}"


def _name_of_type(name: str) -> str:
    return clip(name, _MAX_NAME_CHARACTERS) or NO_TYPE


def tint_of(share: float) -> str:
    """The CSS class of a share from 0 to 1, in tenths: "k0" to "k10"."""
    return f"k{round(10 * min(max(share, 0.0), 1.0))}"


def _count_retries(task: TaskReport) -> int:
    not_begun = sum(attempt.outcome is AttemptOutcome.NOT_BEGUN for attempt in task.history)
    return max(task.attempts - not_begun - 1, 0)


def _shares(report: RunReport) -> list[tuple[TaskStatus, int, str, str]]:
    """Each status that tasks have, its count, and the start and width of its part of the bar."""
    parts: list[tuple[TaskStatus, int, str, str]] = []
    before, total = 0, max(len(report.tasks), 1)
    for status in TaskStatus:
        count = report.counts.get(status, 0)
        if count:
            parts.append(
                (status, count, f"{100 * before / total:.3f}%", f"{100 * count / total:.3f}%")
            )
            before += count
    return parts


def _outcomes_of(timeline: Timeline) -> list[tuple[str, str]]:
    drawn = {bar.outcome for row in timeline.rows for bar in row.bars}
    return [(outcome_class(each), name) for each, name in OUTCOMES.items() if each in drawn]


def _worker_lines(report: RunReport) -> list[_WorkerLine]:
    workers = report.workers
    troubled = {
        name for name, worker in workers.items() if worker.lost or worker.health is Health.LATE
    }
    # Sorting is stable.
    chosen = set(sorted(workers, key=lambda name: name not in troubled)[:MAX_WORKERS_LISTED])
    return [
        {
            "name": clip(name, _MAX_NAME_CHARACTERS),
            "worker": worker,
            "health": describe_health(worker),
            "presence": _describe_presence(worker, report),
        }
        for name, worker in workers.items()
        if name in chosen
    ]


def _describe_presence(worker: WorkerReport, report: RunReport) -> str:
    if worker.left_at is not None:
        return f"at {format_duration(max(worker.left_at - report.started_at, 0.0))}"
    if worker.health is Health.LATE:
        return f"last heard {format_duration(worker.silent_for)} before"
    return ""


def _draw_diagram(diagram: str) -> Markup:
    """Draw a diagram; one that can't be read, or is too large, is not drawn."""
    if not diagram or len(diagram) > MAX_DIAGRAM_CHARACTERS:
        return Markup()
    try:
        sequence = read_sequence(diagram)
    except InvalidDiagram:
        return Markup()
    drawing = draw_sequence(sequence) if sequence.participants else ""
    # All its texts are escaped.
    return Markup(drawing) if len(drawing.encode()) <= MAX_DRAWING_BYTES else Markup()  # noqa: S704


def _listed(counts: dict[str, int]) -> list[tuple[str, int]]:
    listed = [(clip(kind, _MAX_NAME_CHARACTERS), count) for kind, count in counts.items() if count]
    if len(listed) <= MAX_KINDS_LISTED:
        return listed
    rest = listed[MAX_KINDS_LISTED:]
    label = f"{len(rest):,} kinds more"
    return [*listed[:MAX_KINDS_LISTED], (label, sum(count for _, count in rest))]


def _cut_lines(diagram: str) -> str:
    if len(diagram) <= MAX_DIAGRAM_CHARACTERS:
        return diagram
    whole_lines = diagram[:MAX_DIAGRAM_CHARACTERS].rpartition("\n")[0]
    return f"{whole_lines}\n    %% … the rest is left out"
