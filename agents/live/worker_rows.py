"""The rows of the page's workers: which of them it shows, and what each row contains."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import cast

from pydantic import JsonValue

from ..kernel.board.held_slots import held_slots
from ..kernel.board.state import BoardState
from ..kernel.model.records import WorkerRecord
from .page_times import PageTimes
from .states import worker_state

MAX_WORKERS = 200
"""How many workers the page shows: first the connected ones, then the latest lost ones."""

MAX_HELD = 5
"""How many held slots a worker's row lists: those that were held the longest."""

_MAX_NAME_CHARACTERS = 40


class WorkerRows:
    """Makes the rows, and knows which workers were lost last.

    Args:
        times: the page's times.
    """

    def __init__(self, times: PageTimes) -> None:
        self._times = times
        self._lost: deque[str] = deque(maxlen=MAX_WORKERS)

    def note_lost(self, name: str) -> None:
        """Take note of a worker that was lost."""
        self._lost.append(name)

    def shown(self, board: BoardState) -> list[WorkerRecord]:
        """The workers that the page shows, in the order in which they joined."""
        shown = {
            worker.name: worker
            for worker in islice(board.worker_registry.present.values(), MAX_WORKERS)
        }
        for name in self._lost_ones(board):
            if len(shown) >= MAX_WORKERS:
                break
            worker = board.workers.get(name)
            if worker is not None:
                shown.setdefault(name, worker)
        return sorted(shown.values(), key=_order)

    def _lost_ones(self, board: BoardState) -> Iterator[str]:
        yield from reversed(self._lost)
        # Those that were lost before the page existed; a store may have thousands.
        yield from islice(board.workers, MAX_WORKERS)

    def count_hidden(self, board: BoardState) -> int:
        """How many workers the page does not show."""
        return max(len(board.workers) - MAX_WORKERS, 0)

    def rows(self, board: BoardState, now: float) -> dict[str, JsonValue]:
        """The rows of the shown workers, by name."""
        return {worker.name: self._row(board, worker, now) for worker in self.shown(board)}

    def _row(self, board: BoardState, worker: WorkerRecord, now: float) -> JsonValue:
        stats, since = worker.stats, self._times.since
        held = held_slots(worker, board.tasks)
        return {
            "order": worker.order,
            "name": worker.name,
            "state": worker_state(board, worker, now),
            "skill": worker.skill_level,
            "specialties": cast("list[JsonValue]", sorted(worker.specialties)[:5]),
            "slots": worker.slots,
            "taken": worker.taken,
            "ahead": len(worker.prefetched),
            "held": [
                [str(each.task_id)[:_MAX_NAME_CHARACTERS], since(each.since), each.reason]
                for each in held[:MAX_HELD]
            ],
            "succeeded": stats.successful_tasks,
            "ended": stats.completed_tasks,
            "cost": round(stats.cost, 6),
            # Whole seconds, so that a busy worker is not sent again with each change.
            "heard_at": since(worker.last_heard_at) // 1000 * 1000,
        }


def _order(worker: WorkerRecord) -> int:
    return worker.order
