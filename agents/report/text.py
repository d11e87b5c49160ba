"""The report as text: the tutorial's summary, and tables for terminals and log files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from io import StringIO
from typing import NamedTuple, TypeVar

from rich import box
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from ...messages import TaskStatus
from ...messages.wording import short_id
from ..kernel.model.health import Health
from ..runtime.terminal_text import one_line, terminal_line
from .formatting import format_cost, format_grade
from .model import RunReport, TaskReport, WorkerReport
from .skill_cell import SkillCell
from .skill_map import DIFFICULTY
from .tracebacks import group_failures, innermost_lines
from .words import (
    MAX_SAVINGS_CHARACTERS,
    NO_TYPE,
    describe_cost,
    describe_deadlines,
    describe_losses,
    describe_savings,
    is_anything_lost,
    name_of_column,
    rare_figures,
)

DEFAULT_WIDTH = 100
"""The width of the text without a terminal, in columns."""

FOLD_ABOVE = 50
"""Up to this number all tasks, or workers, are shown; of more, only a selection is."""

FIRST_SHOWN = 20
"""How many rows are shown from the beginning of such a selection."""

TROUBLED_SHOWN = 20
"""How many further rows are shown because something went wrong with them."""

TRACEBACKS_SHOWN = 5
"""How many kinds of failures are shown with a traceback."""

UNTOUCHED_SHOWN = 5
"""Up to this number of waiting tasks that no worker ever got are shown one by one."""

MAX_KINDS_LISTED = 20
"""How many kinds of errors are listed by name."""

_MAX_CELL_CHARACTERS = 160
_NARROWEST_ERROR = 40
_GAP = 2
_UNKNOWN = "-"
_UNITS = ((1, 0.001, "ms"), (120, 1, "s"), (7_200, 60, "min"))
"""Each unit: durations below this number of seconds use it, its length in seconds, its name."""

_RESULTS: Mapping[TaskStatus, tuple[str, str]] = {
    TaskStatus.COMPLETED: ("Success", "green"),
    TaskStatus.FAILED: ("Failure", "red"),
    TaskStatus.CANCELLED: ("Cancelled", "yellow"),
    TaskStatus.IN_PROGRESS: ("In Progress", "cyan"),
    TaskStatus.PENDING: ("Pending", "cyan"),
}

Row = TypeVar("Row")


# ------------------------------------------------------------------------ the tutorial's lines


def render_summary(report: RunReport) -> str:
    """Render a report as in the tutorial: a headline, a line for each task, the success rate."""
    shown, untouched = _set_apart(report.tasks)
    lines = [_headline(report.tasks), *(_task_line(task) for task in shown)]
    if untouched:
        lines.append(_describe_untouched(report, untouched))
    return "\n".join([*lines, f"Success rate: {report.success_rate:.2%}"])


def _set_apart(tasks: Sequence[TaskReport]) -> tuple[Sequence[TaskReport], int]:
    """The tasks that are told one by one, and how many wait that no worker ever got."""
    untouched = [each for each in tasks if each.status is TaskStatus.PENDING and not each.attempts]
    if len(untouched) <= UNTOUCHED_SHOWN:
        return tasks, 0
    hidden = {id(each) for each in untouched}
    return [each for each in tasks if id(each) not in hidden], len(untouched)


def _describe_untouched(report: RunReport, count: int) -> str:
    """Tasks that no worker ever got, in one line instead of a line for each."""
    reason = "" if report.workers else ": no worker has joined"
    return f"{count:,} tasks were never assigned{reason}"


def _headline(tasks: Sequence[TaskReport]) -> str:
    settled = sum(task.status.is_final for task in tasks)
    if settled < len(tasks):
        return f"{settled} of {len(tasks)} tasks settled"
    counts = Counter(task.status for task in tasks)
    if counts[TaskStatus.COMPLETED] == len(tasks):
        return "All tasks completed"
    ends = (TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED)
    told = ", ".join(f"{counts[end]} {end.label.lower()}" for end in ends if counts[end])
    return f"All tasks settled: {told}"


def _task_line(task: TaskReport) -> str:
    result, _ = _RESULTS[task.status]
    if not task.worker:
        given = "not assigned"
    elif task.status is TaskStatus.PENDING:
        given = f"last assigned to {_one_line(task.worker)}"
    else:
        given = f"assigned to {_one_line(task.worker)}"
    return f"Task {_one_line(short_id(task.id))} {given} - {result}"


# ------------------------------------------------------------------------ the tables


def render_text(report: RunReport, width: int = DEFAULT_WIDTH) -> str:
    """Render a report as plain text: its tasks, its workers, totals and errors.

    Args:
        report: the report.
        width: the maximum width in columns.
    """
    page = StringIO()
    console = Console(
        file=page, width=width, color_system=None, force_terminal=False, legacy_windows=False
    )
    print_report(report, console)
    return "\n".join(line.rstrip() for line in page.getvalue().splitlines())


def print_report(report: RunReport, console: Console) -> None:
    """Print a report to a console, in colour if the console supports it.

    Args:
        report: the report.
        console: the console; its width limits long texts.
    """
    parts: list[RenderableType] = [_opening(report)]
    if report.tasks:
        parts += [Text(), *_task_table(report, console.width)]
        parts += _tracebacks(report.tasks)
    if report.workers:
        parts += [Text(), *_worker_table(report, console.width)]
    if report.skills:
        parts += [Text(), *_skill_table(report, console.width)]
    parts += [Text(), *_closing(report)]
    console.print(Group(*parts))


def _opening(report: RunReport) -> Text:
    completed = report.counts.get(TaskStatus.COMPLETED, 0)
    text = Text(_one_line(report.name), style="bold")
    text.append(": ")
    headline = f"{completed:,} of {_tasks(len(report.tasks))} succeeded ({report.success_rate:.2%})"
    style = "green" if report.exit_code == 0 else "red"
    text.append(headline if report.tasks else "no tasks", style)
    text.append(f" in {_duration(report.duration)}", style="not bold")
    if report.failure is not None:
        text.append(f"\nThe run failed: {_one_line(report.failure)}", style="red")
    return text


def _task_table(report: RunReport, width: int) -> Iterable[RenderableType]:
    told, untouched = _set_apart(report.tasks)
    if untouched:
        yield Text(_describe_untouched(report, untouched), style="yellow")
    if not told:
        return
    shown, hidden = _fold(told, lambda task: task.status is not TaskStatus.COMPLETED)
    ids = _Column("Task", [Text(_one_line(short_id(task.id))) for task in shown])
    columns = [
        ids,
        _Column("Description", [Text(_one_line(task.description)) for task in shown]),
        _Column("Worker", [Text(_one_line(task.worker) or _UNKNOWN) for task in shown]),
        _Column("Attempts", [Text(f"{task.attempts:,}") for task in shown], is_number=True),
        _Column("Result", [Text(*_RESULTS[task.status]) for task in shown]),
        _Column("Time", [Text(_duration(task.execution_time)) for task in shown], is_number=True),
    ]
    if report.has_costs:
        costs = [Text(format_cost(task.cost)) for task in shown]
        columns.append(_Column("Cost", costs, is_number=True))
    errors = _Column(
        "Error", [Text(_one_line(task.error_message or "")) for task in shown], wraps=True
    )
    has_errors = any(errors.cells)
    error_width = _share_out(width, [*columns, errors])[-1]
    if has_errors and error_width >= min(errors.need, _NARROWEST_ERROR):
        yield _table([*columns, errors], width)
    else:
        yield _table(columns, width)
    succeeded = sum(task.status is TaskStatus.COMPLETED for task in hidden)
    yield from _remarks(
        (succeeded, "that succeeded"), (len(hidden) - succeeded, "that did not succeed")
    )
    if has_errors and error_width < min(errors.need, _NARROWEST_ERROR):
        faulty = [row for row, error in enumerate(errors.cells) if error]
        yield Text()
        yield _table([column.only(faulty) for column in (ids, errors)], width)


def _tracebacks(tasks: Sequence[TaskReport]) -> Iterable[RenderableType]:
    """Where handlers failed: the innermost frames of each kind of failure."""
    groups = group_failures(tasks)
    for group in groups[:TRACEBACKS_SHOWN]:
        yield Text()
        ids = group.task_ids
        named = ", ".join(_one_line(str(each)) for each in ids[:TROUBLED_SHOWN])
        more = f" and {len(ids) - TROUBLED_SHOWN:,} more" if len(ids) > TROUBLED_SHOWN else ""
        what = "Task" if len(ids) == 1 else "Tasks"
        yield Text(f"{what} {named}{more} failed with {_one_line(group.kind)} at", style="red")
        for line in innermost_lines(group.traceback):
            yield Text(terminal_line(line))
    if len(groups) > TRACEBACKS_SHOWN:
        yield Text(f"and {len(groups) - TRACEBACKS_SHOWN:,} kinds of failures more")


def _worker_table(report: RunReport, width: int) -> Iterable[RenderableType]:
    workers = report.workers
    shown, hidden = _fold(list(workers.items()), lambda item: item[1].lost)
    numbers: dict[str, Callable[[WorkerReport], str]] = {
        "Skill": lambda worker: str(worker.skill_level),
        "Slots": lambda worker: f"{worker.slots:,}",
        "Completed": lambda worker: f"{worker.completed:,}",
        "Success": lambda worker: _share(worker.success_rate),
        "Mean time": lambda worker: _duration(worker.mean_time),
        "Busy": lambda worker: _share(worker.busy_share),
    }
    numbers |= rare_figures(report)
    names = [Text.assemble(_one_line(name), _mark(worker)) for name, worker in shown]
    columns = [
        _Column(heading, [Text(tell(worker)) for _, worker in shown], is_number=True)
        for heading, tell in numbers.items()
    ]
    yield _table([_Column("Worker", names), *columns], width)
    lost = sum(worker.lost for _, worker in hidden)
    yield from _remarks((len(hidden) - lost, "that stayed"), (lost, "that were lost"))


def _skill_table(report: RunReport, width: int) -> Iterable[RenderableType]:
    shown, hidden = report.skills[:FOLD_ABOVE], report.skills[FOLD_ABOVE:]
    headings: Mapping[str, Callable[[SkillCell], str]] = {
        "Skill": lambda cell: f"{cell.skill:.1f} ± {cell.deviation:.1f}",
        f"Chance at {DIFFICULTY}": lambda cell: _share(cell.chance),
        "Results": lambda cell: f"{cell.results:,}",
        "Pace": lambda cell: _duration(cell.pace_s),
    }
    if report.has_costs:
        headings = {**headings, "Cost": lambda cell: format_cost(cell.cost)}
    columns = [
        _Column("Worker", [Text(_one_line(cell.worker)) for cell in shown]),
        _Column("Type", [Text(_one_line(name_of_column(cell))) for cell in shown]),
        *(
            _Column(heading, [Text(tell(cell)) for cell in shown], is_number=True)
            for heading, tell in headings.items()
        ),
    ]
    if any(cell.blocked for cell in shown):
        blocked = [Text(_one_line(cell.blocked or "")) for cell in shown]
        columns.append(_Column("Blocked", blocked, wraps=True))
    yield Text("What workers have shown")
    yield _table(columns, width)
    yield from _remarks((len(hidden), "pairs of a worker and a type"))


def _mark(worker: WorkerReport) -> tuple[str, str]:
    if worker.lost:
        return " (lost)", "red"
    return (" (late)", "yellow") if worker.health is Health.LATE else ("", "")


def _closing(report: RunReport) -> Iterable[Text]:
    yield Text(f"Policy: {_one_line(report.policy)}")
    held = [_one_line(each) for each in report.held_slots]
    for line in held[:MAX_KINDS_LISTED]:
        yield Text(line, style="yellow")
    if len(held) > MAX_KINDS_LISTED:
        yield Text(f"and {len(held) - MAX_KINDS_LISTED:,} slots more that are still held")
    if report.mean_time is not None:
        work, mean = _duration(report.total_time), _duration(report.mean_time)
        yield Text(f"Work: {work}, {mean} a task")
    if is_anything_lost(report):
        yield Text(f"Lost: {describe_losses(report)}", style="yellow")
    if deadlines := describe_deadlines(report):
        yield Text(f"Deadlines missed: {deadlines}")
    if report.has_costs:
        yield Text(f"Cost: {_one_line(describe_cost(report))}")
        yield from _costs(report)
    if report.quality is not None:
        yield Text(f"Quality: {format_grade(report.quality)}")
    statuses = {status.label.lower(): report.counts.get(status, 0) for status in TaskStatus}
    for heading, counts in (
        ("Tasks", statuses),
        ("Errors", report.error_counts),
        ("Results ignored", report.ignored),
        ("Frames dropped", report.dropped),
    ):
        if listed := _listed(counts):
            yield Text(f"{heading}: {listed}")
    if len(report.by_difficulty) > 1:
        parts = (
            f"{group.completed:,} of {group.tasks:,} at {difficulty}"
            for difficulty, group in report.by_difficulty.items()
        )
        yield Text(f"Completed by difficulty: {', '.join(parts)}")


def _costs(report: RunReport) -> Iterable[Text]:
    by_type = sorted(report.by_type.items(), key=lambda item: -item[1].cost)
    types = [(name or NO_TYPE, group.cost) for name, group in by_type]
    models = [
        (f"{name} ({each.tokens_in:,} tokens in, {each.tokens_out:,} out)", each.cost)
        for name, each in report.by_model.items()
    ]
    # The latest days stand first, as the dearest types and models do.
    days = list(reversed(report.cost_by_day.items()))
    for heading, costs in (("type", types), ("model", models), ("day", days)):
        if len(costs) > (heading != "model"):
            shown = [
                f"{format_cost(cost)} {_one_line(name)}" for name, cost in costs[:MAX_KINDS_LISTED]
            ]
            if len(costs) > MAX_KINDS_LISTED:
                shown.append(f"and {len(costs) - MAX_KINDS_LISTED:,} more")
            yield Text(f"Cost by {heading}: {', '.join(shown)}")
    if report.savings is not None:
        told = describe_savings(report.savings, report.cost_unit)
        yield Text(f"Learning: {one_line(told, MAX_SAVINGS_CHARACTERS)}")


# ------------------------------------------------------------------------ words and numbers


def _fold(rows: Sequence[Row], is_troubled: Callable[[Row], bool]) -> tuple[list[Row], list[Row]]:
    """Split rows into those that are shown and those that are only counted."""
    if len(rows) <= FOLD_ABOVE:
        return list(rows), []
    shown, hidden = list(rows[:FIRST_SHOWN]), list[Row]()
    for row in rows[FIRST_SHOWN:]:
        may_be_shown = len(shown) < FIRST_SHOWN + TROUBLED_SHOWN
        (shown if may_be_shown and is_troubled(row) else hidden).append(row)
    return shown, hidden


def _remarks(*hidden: tuple[int, str]) -> Iterable[Text]:
    return (Text(f"… {count:,} more {which}") for count, which in hidden if count)


class _Column(NamedTuple):
    heading: str
    cells: Sequence[Text]
    is_number: bool = False
    wraps: bool = False

    @property
    def need(self) -> int:
        """The width of its widest text."""
        return max(cell_len(self.heading), *(cell_len(cell.plain) for cell in self.cells))

    def only(self, rows: Iterable[int]) -> _Column:
        """The column with some of its rows only."""
        return self._replace(cells=[self.cells[row] for row in rows])


def _table(columns: Sequence[_Column], width: int) -> Table:
    # The gap between two columns is one blank of the box and one of the padding.
    table = Table(box=box.SIMPLE_HEAD, padding=(0, _GAP - 1, 0, 0), pad_edge=False, show_edge=False)
    # By itself, rich would drop whole columns to make room for one long text.
    for column, column_width in zip(columns, _share_out(width, columns), strict=True):
        table.add_column(
            column.heading,
            width=column_width,
            no_wrap=not column.wraps,
            overflow="fold" if column.wraps else "ellipsis",
            justify="right" if column.is_number else "left",
        )
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*row)
    return table


def _share_out(width: int, columns: Sequence[_Column]) -> list[int]:
    """Give each column the width it needs; if there is too little, the widest share equally."""
    available = width - _GAP * (len(columns) - 1)
    widths = [0] * len(columns)
    by_need = sorted(range(len(columns)), key=lambda index: columns[index].need)
    for index, waiting in zip(by_need, range(len(columns), 0, -1), strict=True):
        widths[index] = max(min(columns[index].need, available // waiting), 1)
        available -= widths[index]
    return widths


def _listed(counts: Mapping[str, int]) -> str:
    """List the counts above 0, such as "2 completed, 1 failed"."""
    kinds = [f"{count:,} {_one_line(kind)}" for kind, count in counts.items() if count]
    if len(kinds) > MAX_KINDS_LISTED:
        kinds[MAX_KINDS_LISTED:] = [f"and {len(kinds) - MAX_KINDS_LISTED:,} kinds more"]
    return ", ".join(kinds)


def _tasks(count: int) -> str:
    return f"{count:,} {'task' if count == 1 else 'tasks'}"


def _share(share: float | None) -> str:
    return _UNKNOWN if share is None else f"{share:.1%}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return _UNKNOWN
    for below, unit_s, unit in _UNITS:
        if seconds < below:
            return f"{seconds / unit_s:.1f} {unit}"
    return f"{seconds / 3600:,.1f} h"


def _one_line(text: str) -> str:
    return one_line(text, _MAX_CELL_CHARACTERS)
