"""Sees to it that what a board says is written to the store before it is done.

What happens while a store is busy gathers for the next write, so that under load one write serves
many events.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from .kernel.board_state import BoardState
from .kernel.events import Instruction
from .kernel.ledger import NOTHING, Rows, changed_rows
from .store import Store


class Keeper:
    """Holds back a board's instructions until the store has what led to them.

    Args:
        store: where the run is kept.
        board: whose run it is.
        carry_out: does what an instruction says, once it may be done.
    """

    def __init__(
        self, store: Store, board: BoardState, carry_out: Callable[[Instruction], None]
    ) -> None:
        self._store = store
        self._board = board
        self._carry_out = carry_out
        # One thread: writes follow one another in the order in which they were ordered.
        self._thread = ThreadPoolExecutor(1, "muster-store") if store.waits else None
        # Bounded by what happens while one write lasts: frames are not taken in meanwhile.
        self._held_back: deque[Instruction] = deque()
        self._unwritten = 0
        self._carried_out = 0

    def note(self, said: Sequence[Instruction]) -> None:
        """Take over what the board said; nothing of it is done yet."""
        self._held_back.extend(said)
        self._unwritten += len(said)

    @property
    def has_unwritten(self) -> bool:
        """Whether anything waits to be written."""
        return self._unwritten > 0

    async def write(self) -> None:
        """Write what the board said so far, and then do it.

        Raises:
            StoreUnusable: it can't be written; nothing of it is done.
        """
        rows, last = self._take_rows()
        if rows == NOTHING:
            pass
        elif self._thread is None:
            self._store.write(rows)
        else:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._thread, self._store.write, rows)
        self._release(last)

    def write_at_once(self) -> None:
        """Write what the board said so far, wait for it, and then do it.

        Raises:
            StoreUnusable: it can't be written; nothing of it is done.
        """
        rows, last = self._take_rows()
        if rows == NOTHING:
            pass
        elif self._thread is None:
            self._store.write(rows)
        else:
            self._thread.submit(self._store.write, rows).result()
        self._release(last)

    async def try_to_write(self) -> None:
        """See whether the store can be written to.

        Raises:
            StoreUnusable: it can't.
        """
        if self._thread is None:
            self._store.write(NOTHING)
        else:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._thread, self._store.write, NOTHING)

    def close(self) -> None:
        """Let go of the store, once what was ordered is written."""
        if self._thread is not None:
            self._thread.shutdown()
        self._store.close()

    def _take_rows(self) -> tuple[Rows, int]:
        held_back = self._held_back
        said = list(islice(held_back, len(held_back) - self._unwritten, None))
        self._unwritten = 0
        return changed_rows(self._board, said), self._carried_out + len(held_back)

    def _release(self, last: int) -> None:
        # Whoever wrote at once meanwhile has done some of it: its rows came after these.
        while self._carried_out < last:
            self._carried_out += 1
            self._carry_out(self._held_back.popleft())
