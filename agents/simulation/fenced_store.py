"""A memory store that another manager can take over while the former one still writes."""

from __future__ import annotations

from collections.abc import Callable

from ...messages import StoreTaken
from ..kernel.board.rows import NOTHING, Rows
from ..store.memory import SharedRows
from .crashing_store import CrashingStore, ManagerKilled


class SequencedRows(SharedRows):
    """The memory of fenced stores: each write, and each opening, has the next number."""

    def __init__(self) -> None:
        super().__init__()
        self.last_sequence = 0
        self.newest: FencedStore | None = None
        """The store that was opened last."""


class FencedStore(CrashingStore):
    """A memory store whose writes name the last sequence number that it knows.

    A write is refused if there is a later one in the memory: then another store was opened since.
    Stores whose servers keep a log do the same.

    Args:
        memory: the rows, which an earlier store may have written. It is taken from that store.
        kill: kills the manager.
        wrote_after_loss: called after each write that should have been refused.
    """

    def __init__(
        self,
        memory: SequencedRows,
        kill: Callable[[], None],
        wrote_after_loss: Callable[[], None],
    ) -> None:
        memory.release()
        super().__init__(memory, kill)
        self._rows = memory
        self._wrote_after_loss = wrote_after_loss
        self._is_dead = False
        # The record of the opening fences off all former stores.
        memory.newest = self
        memory.last_sequence += 1
        self._expected = memory.last_sequence

    def die(self) -> None:
        """Write nothing more, since the process is dead."""
        self._is_dead = True
        self.close()

    def is_expected(self) -> bool:
        """Whether the last write in the memory is the last one that this store knows."""
        return self._rows.last_sequence == self._expected

    def _append(self, rows: Rows) -> None:
        if self._is_dead:
            raise ManagerKilled
        if not self.is_expected():
            raise StoreTaken("another manager has opened this store")
        self._rows.keep(rows)
        self._rows.last_sequence += 1
        self._expected = self._rows.last_sequence
        if self._rows.newest is not self and rows != NOTHING:
            self._wrote_after_loss()
