"""Shows skills as a table: a line for each worker and type of task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ..kernel.matching.scorecards.scorecard_file import SkillsFile, TypeSection
from ..runtime.terminal_text import one_line

_HEADINGS = ("worker", "type", "skill", "results", "success", "pace", "cost", "")
_LONGEST_NAME = 40


class _TablePart(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class SkillRow(_TablePart):
    """What a worker has shown for one type of task, or for one named skill."""

    worker: str
    """The worker's name."""

    type: str
    """The type of task, or the name of the skill."""

    is_named_skill: bool
    """Whether `type` is the name of a skill."""

    skill: float
    """Its skill, on the scale of difficulties."""

    deviation: Annotated[float, Field(ge=0)]
    """How uncertain the skill is, as a standard deviation."""

    results: Annotated[int, Field(ge=0)]
    """The number of results."""

    success_rate: Annotated[float, Field(ge=0)] | None
    """The share of success, 0 to 1; a grade counts in part; None without results."""

    expected_s: Annotated[float, Field(ge=0)] | None
    """How long an attempt takes, in seconds; None if unknown."""

    cost: Annotated[float, Field(ge=0)] | None
    """What an attempt has cost on average, in the manager's unit of cost; None if unknown."""

    broken: str | None
    """Why the worker gets no tasks of the type but a probe now and then; None if it does."""


class SkillTable(_TablePart):
    """What all workers have shown."""

    rows: tuple[SkillRow, ...]
    """By worker and type."""


def make_table(skills: SkillsFile) -> SkillTable:
    """Make the table of a skills file."""
    return SkillTable(rows=tuple(_rows(skills)))


def table_lines(table: SkillTable) -> Iterator[str]:
    """Lay out the table as lines of text."""
    if not table.rows:
        yield "no skills are known yet"
        return
    cells = [_HEADINGS, *(_cells(row) for row in table.rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(_HEADINGS))]
    for row in cells:
        padded = [
            cell.ljust(width) if column in _LEFT else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(padded).rstrip()


_LEFT = (0, 1, len(_HEADINGS) - 1)
"""The columns of text; numbers are aligned to the right."""


def _rows(skills: SkillsFile) -> Iterator[SkillRow]:
    for worker, section in sorted(skills.workers.items()):
        for name, cell in sorted(section.types.items()):
            yield _row(worker, name, cell, is_named_skill=False)
        for name, cell in sorted(section.skills.items()):
            yield _row(worker, name, cell, is_named_skill=True)


def _row(worker: str, name: str, cell: TypeSection, *, is_named_skill: bool) -> SkillRow:
    count, cost = cell.costs
    return SkillRow(
        worker=worker,
        type=name,
        is_named_skill=is_named_skill,
        skill=cell.skill,
        deviation=cell.deviation,
        results=cell.results,
        success_rate=cell.successes / cell.results if cell.results else None,
        expected_s=cell.expected_s,
        cost=cost / count if count else None,
        broken=cell.breaker.reason or None,
    )


def _cells(row: SkillRow) -> tuple[str, ...]:
    kind = "skill " if row.is_named_skill else ""
    return (
        one_line(row.worker, _LONGEST_NAME),
        kind + (one_line(row.type, _LONGEST_NAME) or "(no type)"),
        f"{row.skill:.1f} ± {row.deviation:.1f}",
        f"{row.results:,}",
        "-" if row.success_rate is None else f"{row.success_rate:.0%}",
        "-" if row.expected_s is None else f"{row.expected_s:.3g} s",
        "-" if row.cost is None else f"{row.cost:.3g}",
        "" if row.broken is None else f"broken: {one_line(row.broken)}",
    )
