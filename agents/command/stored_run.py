"""Reads a run from its store, while its manager runs or afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...messages import DecodeError, StoreUnusable
from ..kernel.board.board import Board
from ..kernel.board.restoration import read_board
from ..report.build import build_report
from ..report.model import RunReport
from ..runtime.clock import now
from ..store.file_lock import Holder
from ..store.managers import ManagerEntry
from ..store.places import StorePlace, managers_at, name_of_place, read_held


@dataclass(frozen=True)
class StoredRun:
    """A run from a store.

    Args:
        store: the path or URL of the store.
        holder: whether a manager holds the store.
        board: the state of the run.
        at: the time that the state refers to, in seconds since 1970: now if a manager may hold
            the store, else the time of the last event.
        managers: the managers that share the store.
    """

    store: StorePlace
    holder: Holder
    board: Board
    at: float
    managers: tuple[ManagerEntry, ...] = ()

    @property
    def place_name(self) -> str:
        """The path of the store, or its URL without a password."""
        return name_of_place(self.store)

    @property
    def title(self) -> str:
        """The name of the store, without the extension of its file."""
        return Path(self.place_name).stem

    def report(self) -> RunReport:
        """Build the report of the run; its name is that of the store."""
        return build_report(self.board, name=Path(self.place_name).name, now=self.at)


def read_stored_run(store: StorePlace) -> StoredRun:
    """Read a run from its store, whether a manager holds it or not.

    Raises:
        StoreUnusable: there is no store, or it can't be read.
    """
    rows, holder = read_held(store)
    at = now()
    try:
        board = read_board(rows, now=at)
    except DecodeError as fault:
        raise StoreUnusable(
            f"the store {name_of_place(store)!r} has rows that can't be decoded: {fault.detail}"
        ) from None
    if holder.held is False:
        at = max(_event_times(board), default=at)
    managers = managers_at(store)
    try:
        return StoredRun(store, holder, board, at, tuple(managers.read()))
    finally:
        managers.withdraw()


def _event_times(board: Board) -> Iterator[float]:
    if board.ended_at is not None:
        yield board.ended_at
    if board.began_at is not None:
        yield board.began_at
    for record in board.tasks.values():
        yield record.added_at
        yield from (occurrence.at for occurrence in record.story[-1:])
    for worker in board.workers.values():
        yield worker.last_heard_at if worker.lost_at is None else worker.lost_at
