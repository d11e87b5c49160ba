"""Reads what a policy has learned of each worker and type of task, and lays it out as a map."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from math import sqrt
from typing import NamedTuple

from ..kernel.board.state import BoardState
from ..kernel.matching.scorecards.pace_model import expect_duration_s
from ..kernel.matching.scorecards.scorecards import Scorecards
from ..kernel.matching.scorecards.worker_card import TypeCard
from .model import SkillCell

DIFFICULTY = 5
"""The difficulty of the task for which each cell tells the chance of success."""

MAX_ROWS = 60
"""How many workers a map shows: those with the most results."""

MAX_COLUMNS = 24
"""How many types and skills a map shows: those with the most results."""


class SkillColumn(NamedTuple):
    """A column of a map.

    Args:
        name: a type of task, or the name of a skill.
        is_named_skill: whether it is the name of a skill.
    """

    name: str
    is_named_skill: bool


class SkillRow(NamedTuple):
    """A row of a map.

    Args:
        worker: the worker's name.
        cells: its cells, one for each column; None without results.
    """

    worker: str
    cells: Sequence[SkillCell | None]


class SkillMap(NamedTuple):
    """Cells as a table of workers by types and skills.

    Args:
        columns: the types in alphabetical order, and then the named skills.
        rows: the workers in alphabetical order.
        hidden_rows: how many more workers there are.
        hidden_columns: how many more types and skills there are.
    """

    columns: Sequence[SkillColumn]
    rows: Sequence[SkillRow]
    hidden_rows: int
    hidden_columns: int


def read_skills(board: BoardState) -> list[SkillCell]:
    """What the policy of a run has learned; empty if it does not learn.

    The policy takes results into account before its next choice. Reading does not make it do so
    earlier, since a run must not depend on who looks at it; after the run's end it can't.
    """
    scorecards: object = getattr(board.queue.policy, "scorecards", None)
    if not isinstance(scorecards, Scorecards):
        return []
    if board.has_ended:
        scorecards.settle()
    return list(_cells_of(scorecards))


def make_skill_map(
    cells: Iterable[SkillCell], max_rows: int = MAX_ROWS, max_columns: int = MAX_COLUMNS
) -> SkillMap:
    """Lay out cells as a map."""
    placed: dict[tuple[str, SkillColumn], SkillCell] = {}
    workers: Counter[str] = Counter()
    columns: Counter[SkillColumn] = Counter()
    for cell in cells:
        column = SkillColumn(cell.type, cell.is_named_skill)
        placed[cell.worker, column] = cell
        workers[cell.worker] += cell.results
        columns[column] += cell.results
    shown = sorted(
        (column for column, _ in columns.most_common(max_columns)),
        key=lambda column: (column.is_named_skill, column.name),
    )
    names = sorted(worker for worker, _ in workers.most_common(max_rows))
    return SkillMap(
        shown,
        [SkillRow(name, [placed.get((name, column)) for column in shown]) for name in names],
        len(workers) - len(names),
        len(columns) - len(shown),
    )


def _cells_of(scorecards: Scorecards) -> Iterator[SkillCell]:
    for worker, card in sorted(scorecards.workers.items()):
        for is_named_skill, known in ((False, card.types), (True, card.named)):
            for name, of_type in sorted(known.items()):
                if of_type.results or of_type.breaker.reason:
                    yield _cell(scorecards, worker, name, of_type, is_named_skill=is_named_skill)


def _cell(
    scorecards: Scorecards, worker: str, name: str, card: TypeCard, *, is_named_skill: bool
) -> SkillCell:
    outlook = card.outlook(scorecards.sharpness, DIFFICULTY)
    pace = card.pace
    # What is known of the worker and of the type tells something of a pair without results, too.
    has_pace = pace is not None and (pace.precision or pace.worker.precisions)
    return SkillCell(
        worker=worker,
        type=name,
        is_named_skill=is_named_skill,
        skill=round(outlook.mean, 3),
        deviation=round(sqrt(outlook.variance), 3),
        chance=round(outlook.success, 4),
        results=card.results,
        pace_s=expect_duration_s(pace) if pace is not None and has_pace else None,
        cost=card.cost_sum / card.costs if card.costs else None,
        blocked=card.breaker.reason or None,
    )
