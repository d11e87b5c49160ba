"""A memory store at which a simulated manager can die: at any moment, and around a write."""

from __future__ import annotations

from collections.abc import Callable

from ..kernel.board.rows import NOTHING, Rows
from ..store.memory import MemoryStore, SharedRows
from .faults import Crash


class ManagerKilled(BaseException):
    """Raised in the middle of a write, for a process that is killed there."""


class CrashingStore(MemoryStore):
    """A memory store that can be told to be the death of its manager.

    Args:
        memory: what a former store kept its rows in.
        killed: called when the manager dies of a write.
    """

    def __init__(self, memory: SharedRows, killed: Callable[[], None]) -> None:
        super().__init__(memory)
        self._killed = killed
        self._doom: Crash | None = None

    def doom(self, crash: Crash) -> None:
        """Let the manager die of its next write."""
        self._doom = crash

    def write(self, rows: Rows) -> None:
        """Keep rows, unless the manager dies before that."""
        if self._doom is None or rows == NOTHING:
            super().write(rows)
            return
        if self._doom is Crash.AFTER_WRITE:
            super().write(rows)
        self._killed()
        raise ManagerKilled
