"""A run as its store has it, read beside its manager or after it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...messages import DecodeError, StoreUnusable
from ..kernel.board.board import Board
from ..kernel.board.restoration import read_board
from ..report.model import RunReport, build_report
from ..runtime.clock import now
from ..store.file_lock import Holder, find_holder
from ..store.sqlite import read_store


@dataclass(frozen=True)
class StoredRun:
    """A run as it stands in its store.

    Args:
        store: the store's file.
        holder: whether a manager holds the store.
        board: the run.
        at: as of when it is told, in seconds since 1970: now if a manager may be at work on it,
            else when something last happened.
    """

    store: Path
    holder: Holder
    board: Board
    at: float

    def report(self) -> RunReport:
        """Tell the run, under the name of its store."""
        return build_report(self.board, name=self.store.name, now=self.at)


def read_stored_run(store: Path) -> StoredRun:
    """Read a run from its store, whoever holds it.

    Raises:
        StoreUnusable: there is no store, or it can't be read.
    """
    # First, so that what a manager that ends meanwhile has written is read as well.
    holder = find_holder(store)
    rows = read_store(store)
    moment = now()
    try:
        board = read_board(rows, now=moment)
    except DecodeError as fault:
        raise StoreUnusable(
            f"the store {str(store)!r} holds what can't be read here: {fault.detail}"
        ) from None
    if holder.held is False:
        moment = max(_moments(board), default=moment)
    return StoredRun(store, holder, board, moment)


def _moments(board: Board) -> Iterator[float]:
    if board.ended_at is not None:
        yield board.ended_at
    if board.began_at is not None:
        yield board.began_at
    for record in board.tasks.values():
        yield record.added_at
        yield from (occurrence.at for occurrence in record.story[-1:])
    for worker in board.workers.values():
        yield worker.last_heard_at if worker.lost_at is None else worker.lost_at
