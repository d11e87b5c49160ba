"""A memory store that can kill its simulated manager before or after a write."""

from __future__ import annotations

from collections.abc import Callable

from ..kernel.board.rows import NOTHING, Rows
from ..store.memory import MemoryStore, SharedRows
from .faults import Crash


class ManagerKilled(BaseException):
    """Raised by a write during which the simulated process is killed."""


class CrashingStore(MemoryStore):
    """A memory store that can kill its manager at the next write.

    Args:
        memory: the rows, which an earlier store may have written.
        kill: kills the manager.
    """

    def __init__(self, memory: SharedRows, kill: Callable[[], None]) -> None:
        super().__init__(memory)
        self._kill = kill
        self._crash: Crash | None = None

    def crash_at_next_write(self, crash: Crash) -> None:
        """Kill the manager at its next write.

        Args:
            crash: whether before or after the rows are written.
        """
        self._crash = crash

    def write(self, rows: Rows) -> None:
        """Write rows, unless the manager is killed first."""
        if self._crash is None or rows == NOTHING:
            self._append(rows)
            return
        if self._crash is Crash.AFTER_WRITE:
            self._append(rows)
        self._kill()
        raise ManagerKilled

    def _append(self, rows: Rows) -> None:
        super().write(rows)
