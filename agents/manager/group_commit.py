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
from time import perf_counter

from ...messages import StoreUnusable
from ..kernel.board.rows import NOTHING, Rows, changed_rows
from ..kernel.board.state import BoardState
from ..kernel.model.events import Instruction
from ..store.protocol import Store


class GroupCommit:
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
        # When each connected worker had last been heard, as far as that was handed to the store.
        self._heard_at: dict[str, float] = {}
        self._heard: list[str] = []
        self._watch_write: Callable[[float], None] | None = None
        self._fault: StoreUnusable | None = None
        self._is_closed = False

    def note(self, said: Sequence[Instruction]) -> None:
        """Take over what the board said; nothing of it is done yet."""
        self._held_back.extend(said)
        self._unwritten += len(said)

    def note_seen(self) -> None:
        """Let the next write tell when each worker was last heard, which nothing else does."""
        alive = [worker for worker in self._board.workers.values() if worker.alive]
        self._heard = [
            worker.name
            for worker in alive
            if self._heard_at.get(worker.name) != worker.last_heard_at
        ]
        self._heard_at = {worker.name: worker.last_heard_at for worker in alive}

    def watch_writes(self, watcher: Callable[[float], None]) -> None:
        """Have a function called with the seconds that each write took."""
        self._watch_write = watcher

    @property
    def has_unwritten(self) -> bool:
        """Whether anything waits to be written."""
        return self._unwritten > 0 or bool(self._heard)

    async def write(self) -> None:
        """Write what the board said so far, and then do it.

        Raises:
            StoreUnusable: it can't be written; nothing of it is done.
        """
        rows, last = self._take_rows()
        if rows == NOTHING:
            pass
        elif self._thread is None:
            self._tell_write(self._timed_write(rows))
        else:
            loop = asyncio.get_running_loop()
            self._tell_write(await loop.run_in_executor(self._thread, self._timed_write, rows))
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
            self._tell_write(self._timed_write(rows))
        else:
            self._tell_write(self._thread.submit(self._timed_write, rows).result())
        self._release(last)

    async def try_to_write(self) -> None:
        """See whether the store can be written to.

        Raises:
            StoreUnusable: it can't.
        """
        if self._is_closed:
            # The run may have ended because of this very store.
            raise self._fault or StoreUnusable("the run has ended, and its store is closed")
        if self._thread is None:
            self._store.write(NOTHING)
        else:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._thread, self._store.write, NOTHING)

    def close(self) -> None:
        """Let go of the store, once what was ordered is written."""
        self._is_closed = True
        if self._thread is not None:
            self._thread.shutdown()
        self._store.close()

    def _timed_write(self, rows: Rows) -> float:
        began_at = perf_counter()
        try:
            self._store.write(rows)
        except StoreUnusable as fault:
            self._fault = fault
            raise
        return perf_counter() - began_at

    def _tell_write(self, took_s: float) -> None:
        if self._watch_write is not None:
            self._watch_write(took_s)

    def _take_rows(self) -> tuple[Rows, int]:
        held_back = self._held_back
        said = list(islice(held_back, len(held_back) - self._unwritten, None))
        self._unwritten = 0
        heard, self._heard = self._heard, []
        return changed_rows(self._board, said, heard), self._carried_out + len(held_back)

    def _release(self, last: int) -> None:
        # Whoever wrote at once meanwhile has done some of it: its rows came after these.
        while self._carried_out < last:
            self._carried_out += 1
            self._carry_out(self._held_back.popleft())
