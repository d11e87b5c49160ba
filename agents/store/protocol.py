"""The protocol of stores, in which a manager keeps its run so that another one can resume it."""

from __future__ import annotations

from typing import Protocol

from ..kernel.board.rows import Rows


class Store(Protocol):
    """Keeps the rows of one run, for one manager at a time.

    A manager writes before it acts: once `write` returns, the rows survive the process.
    """

    @property
    def waits(self) -> bool:
        """Whether `write` waits for a disk, so that it must run in its own thread."""
        ...

    def load(self) -> Rows:
        """Read all rows.

        Raises:
            StoreUnusable: the rows can't be read.
        """
        ...

    def write(self, rows: Rows) -> None:
        """Write rows atomically; called by one thread at a time, not always the same one.

        Raises:
            StoreUnusable: they can't be written, for example on a full disk; earlier rows stay.
        """
        ...

    def close(self) -> None:
        """Close the store, so that another manager can open it; nothing can be written any more."""
        ...
