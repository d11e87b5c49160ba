"""The words that all forms of the report use, such as those for costs, grades and losses."""

from __future__ import annotations

from collections.abc import Callable

from ..kernel.model.health import Health
from .cost_model import SavingsReport
from .formatting import format_cost, format_duration, format_grade, format_share
from .model import RunReport, TaskReport, WorkerReport
from .skill_cell import SkillCell

_SEVERAL = 2

MAX_SAVINGS_CHARACTERS = 500

NO_TYPE = "(no type)"
"""The name of the tasks without a type."""


def describe_cost(report: RunReport) -> str:
    """What a run cost, and what is left of its budget."""
    spent = format_cost(report.cost, report.cost_unit)
    for unit, cost in report.cost_in_other_units.items():
        spent += f" and {format_cost(cost, unit)}"
    if report.budget is None:
        return spent
    left = "none" if not report.budget_left else format_cost(report.budget_left)
    return f"{spent} of a budget of {format_cost(report.budget)}, {left} left"


def describe_savings(savings: SavingsReport, unit: str) -> str:
    """What a run saved against always the strongest worker, and how sure that is."""
    is_saved = savings.saved >= 0
    share = abs(savings.saved) / savings.strongest_cost
    strongest = list(dict.fromkeys(savings.workers.values()))
    names = strongest[0] if len(strongest) == 1 else "the strongest worker of each type"
    seen = format_share(savings.seen_share)
    ends = savings.saved_from, savings.saved_to
    if ends[0] is not None and ends[1] is not None:
        low, high = (ends[0], ends[1]) if is_saved else (-ends[1], -ends[0])
        between = f"90% sure: {format_cost(low)} to {format_cost(high)}"
    else:
        between = f"± {format_cost(savings.uncertainty)}"
    return (
        f"{format_cost(abs(savings.saved), unit)} ({share:.0%}) "
        f"{'less' if is_saved else 'more'} than always {names} ({between}) for "
        f"{savings.tasks:,} tasks, of which {savings.completed:,} were completed and "
        f"{savings.strongest_completed:,} would have been; an estimate: {seen} of those attempts "
        "were seen, the others are expected from what was"
    )


def describe_losses(report: RunReport) -> str:
    """How many workers, attempts and tasks were lost, such as "1 worker, 3 attempts, no task"."""
    workers = sum(worker.lost for worker in report.workers.values())
    counts = {
        "worker": workers,
        "attempt": report.attempts_lost,
        "task": report.tasks_lost,
    }
    return ", ".join(
        f"{count or 'no'} {what}" if count < _SEVERAL else f"{count:,} {what}s"
        for what, count in counts.items()
    )


def is_anything_lost(report: RunReport) -> bool:
    """Whether a worker, an attempt or a task was lost."""
    return bool(report.attempts_lost) or any(each.lost for each in report.workers.values())


def describe_terms(task: TaskReport) -> str:
    """What a task asks for besides its difficulty, such as named skills and a deadline."""
    terms = [f"{name} {level:g}" for name, level in task.required_skills.items()]
    if terms and task.strict:
        terms[0] = f"strictly {terms[0]}"
    if task.deadline is not None:
        terms.append(f"done in {format_duration(task.deadline)}")
    if task.escalate:
        terms.append(f"first {', then '.join(task.escalate)}")
    if task.review:
        terms.append("a review")
    if task.votes > 1:
        terms.append(f"{task.votes} votes")
    return "; ".join(terms)


def describe_health(worker: WorkerReport) -> str:
    """The health of a worker at the run's end, or now; "" if it is not known."""
    if worker.lost:
        return Health.LOST.value
    if worker.gone_home:
        return "gone home"
    return worker.health.value if worker.health else ""


def describe_deadlines(report: RunReport) -> str:
    """How many deadlines were missed; "" if no task has one."""
    deadlines = sum(task.deadline is not None for task in report.tasks)
    return f"{report.deadlines_missed:,} of {deadlines:,}" if deadlines else ""


def name_of_column(cell: SkillCell) -> str:
    """The name of the type or the named skill of a cell."""
    return f"skill {cell.type}" if cell.is_named_skill else cell.type or NO_TYPE


def rare_figures(report: RunReport) -> dict[str, Callable[[WorkerReport], str]]:
    """What the tables of workers tell only if it is anything of at least one of them."""
    workers = report.workers.values()
    figures: dict[str, Callable[[WorkerReport], str]] = {}
    if report.has_costs:
        figures["Cost"] = lambda worker: format_cost(worker.cost)
    if any(worker.quality is not None for worker in workers):
        figures["Quality"] = lambda worker: format_grade(worker.quality)
    if any(worker.declined for worker in workers):
        figures["Declined"] = lambda worker: f"{worker.declined:,}"
    if any(worker.rejected for worker in workers):
        figures["Rejected"] = lambda worker: f"{worker.rejected:,}"
    return figures
