"""Reads what a policy has learned of each worker and type of task, and lays it out as a map."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from heapq import nlargest
from math import sqrt
from typing import NamedTuple

from ..kernel.board.state import BoardState
from ..kernel.matching.scorecards.pace_model import expect_duration_s
from ..kernel.matching.scorecards.scorecards import Scorecards
from ..kernel.matching.scorecards.worker_card import TypeCard, WorkerCard
from .skill_cell import SkillCell

DIFFICULTY = 5
"""The difficulty of the task for which each cell tells the chance of success."""

MAX_ROWS = 60
"""How many workers a map shows: those with the most results."""

MAX_COLUMNS = 24
"""How many types and skills a map shows: those with the most results."""


class SkillMapColumn(NamedTuple):
    """A column of a map.

    Args:
        name: a type of task, or the name of a skill.
        is_named_skill: whether it is the name of a skill.
    """

    name: str
    is_named_skill: bool


class SkillMapRow(NamedTuple):
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

    columns: Sequence[SkillMapColumn]
    rows: Sequence[SkillMapRow]
    hidden_rows: int
    hidden_columns: int


class LearnedSkills(NamedTuple):
    """What a policy has learned.

    Args:
        cells: a cell for each worker and each type or named skill of which it has results.
        hidden_workers: of how many more workers it has results, or has thought.
    """

    cells: list[SkillCell]
    hidden_workers: int


def read_skills(board: BoardState, max_workers: int | None = None) -> LearnedSkills:
    """What the policy of a run has learned; no cells if it does not learn.

    The policy takes results into account before its next choice. Reading does not make it do so
    earlier, since a run must not depend on who looks at it; after the run's end it can't.

    Args:
        board: the run.
        max_workers: of how many workers to tell at most: those with the most results; None for all.
    """
    scorecards: object = getattr(board.queue.policy, "scorecards", None)
    if not isinstance(scorecards, Scorecards):
        return LearnedSkills([], 0)
    if board.has_ended:
        scorecards.settle()
    cards = scorecards.workers
    names = list(cards)
    if max_workers is not None and len(names) > max_workers:
        names = nlargest(max_workers, names, key=lambda name: _count_results(cards[name]))
    cells = [cell for name in sorted(names) for cell in _cells_of(scorecards, name)]
    return LearnedSkills(cells, len(cards) - len(names))


def make_skill_map(
    cells: Iterable[SkillCell], max_rows: int = MAX_ROWS, max_columns: int = MAX_COLUMNS
) -> SkillMap:
    """Lay out cells as a map."""
    placed: dict[tuple[str, SkillMapColumn], SkillCell] = {}
    workers: Counter[str] = Counter()
    columns: Counter[SkillMapColumn] = Counter()
    for cell in cells:
        column = SkillMapColumn(cell.type, cell.is_named_skill)
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
        [SkillMapRow(name, [placed.get((name, column)) for column in shown]) for name in names],
        len(workers) - len(names),
        len(columns) - len(shown),
    )


def _count_results(card: WorkerCard) -> int:
    return sum(of_type.results for of_type in card.types.values())


def _cells_of(scorecards: Scorecards, worker: str) -> Iterator[SkillCell]:
    card = scorecards.workers[worker]
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
