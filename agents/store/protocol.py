"""Where a manager keeps its run, so that it outlives the manager: the protocol of every store."""

from __future__ import annotations

from typing import Protocol

from ..kernel.board.rows import Rows


class Store(Protocol):
    """Keeps the rows of one run, for one manager at a time.

    A manager writes before it acts: when `write` returns, the rows outlive the process.
    """

    @property
    def waits(self) -> bool:
        """Whether `write` waits for a disk, and so belongs in a thread of its own."""
        ...

    def load(self) -> Rows:
        """Read all that was written.

        Raises:
            StoreUnusable: what is kept there can't be read.
        """
        ...

    def write(self, rows: Rows) -> None:
        """Keep rows, all of them or none; called by one thread at a time, not always the same.

        Raises:
            StoreUnusable: they can't be kept, as when the disk is full; what was kept before stays.
        """
        ...

    def close(self) -> None:
        """Let go of it, so that another manager may have it; nothing can be written any more."""
        ...
