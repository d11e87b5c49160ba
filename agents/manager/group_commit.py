"""Writes a run to its store before the instructions that follow from it are carried out.

Events that happen while the store is busy share the next write, so that under load one write covers
many events.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from time import perf_counter
from typing import NamedTuple, TypeAlias

from ...messages import StoreUnusable, TaskId
from ..kernel.board.learned_rows import LearnedRows
from ..kernel.board.rows import NOTHING, Rows, changed_rows
from ..kernel.board.schedule_rows import changed_schedules
from ..kernel.board.state import BoardState
from ..kernel.model.instructions import Instruction
from ..kernel.model.occurrences import Occurrence
from ..runtime.loop_watch import LATE_FROM_S
from ..store.protocol import Store


class ConfirmResult(NamedTuple):
    """Tell a worker that its offloaded result is recorded, or will never count.

    Args:
        worker_id: the worker's address.
        task_id: which task.
        attempt: which attempt.
        holder: who holds the blobs of the result.
    """

    worker_id: str
    task_id: TaskId
    attempt: int
    holder: Hashable


ManagerInstruction: TypeAlias = Instruction | ConfirmResult
"""An instruction of the board, or one that the manager adds itself."""


class GroupCommit:
    """Holds back instructions until the store has what led to them.

    Args:
        store: where the run is kept.
        board: the run's board.
        carry_out: carries out instructions that are committed, and removes each from the queue.
    """

    def __init__(
        self,
        store: Store,
        board: BoardState,
        carry_out: Callable[[deque[ManagerInstruction]], None],
    ) -> None:
        self._store = store
        self._board = board
        self._carry_out = carry_out
        self._learned = LearnedRows(board.queue.policy)
        # One thread keeps the writes in order.
        self._thread = ThreadPoolExecutor(1, "muster-store") if store.waits else None
        # Bounded by what happens during one write: no frames are handled meanwhile.
        self._held_back: deque[ManagerInstruction] = deque()
        self._unwritten = 0
        self._committed = 0
        self._ready: deque[ManagerInstruction] = deque()
        self._before_write: Callable[[], None] | None = None
        # When each connected worker was last heard from, as far as the store has been told.
        self._heard_at: dict[str, float] = {}
        self._heard_from: list[str] = []
        self._write_watcher: Callable[[float], None] | None = None
        self._slow_s = 0.0
        self._fault: BaseException | None = None
        self._is_closed = False

    def add(self, instructions: Sequence[ManagerInstruction]) -> None:
        """Hold back instructions until the next write."""
        self._held_back.extend(instructions)
        self._unwritten += len(instructions)

    def add_heartbeats(self) -> None:
        """Include in the next write when each worker was last heard from."""
        alive = [worker for worker in self._board.workers.values() if worker.alive]
        self._heard_from = [
            worker.name
            for worker in alive
            if self._heard_at.get(worker.name) != worker.last_heard_at
        ]
        self._heard_at = {worker.name: worker.last_heard_at for worker in alive}

    def call_before_write(self, function: Callable[[], None]) -> None:
        """Call a function once, right before the next `write`."""
        self._before_write = function

    def watch_writes(self, watcher: Callable[[float], None]) -> None:
        """Call a function with the duration in seconds of each write."""
        self._write_watcher = watcher

    async def write(self) -> None:
        """Write what is held back, if anything is, and carry it out.

        Raises:
            StoreUnusable: the store can't be written to; nothing is carried out.
        """
        self._check_fault()
        if self._before_write is not None:
            function, self._before_write = self._before_write, None
            function()
        if not self._unwritten and not self._heard_from:
            return
        rows, last = self._take_rows()
        if rows == NOTHING:
            pass
        elif self._thread is None:
            self._report_write(self._timed_write(rows))
        else:
            loop = asyncio.get_running_loop()
            began_at = loop.time()
            took_s = await loop.run_in_executor(self._thread, self._timed_write, rows)
            # In virtual time no write is slow.
            waited_s = min(took_s, loop.time() - began_at)
            if waited_s >= LATE_FROM_S:
                self._slow_s += waited_s
            self._report_write(took_s)
        self._release(last)

    def take_slow_s(self) -> float:
        """For how long slow writes have kept messages unread since the last call, in seconds."""
        slow_s, self._slow_s = self._slow_s, 0.0
        return slow_s

    def write_at_once(self, instructions: Sequence[ManagerInstruction] = ()) -> None:
        """Write what is held back, wait until it is written, and carry it out.

        Args:
            instructions: further instructions, as with `add`.

        Raises:
            StoreUnusable: the store can't be written to; nothing is carried out.
        """
        self._check_fault()
        if instructions:
            self.add(instructions)
        rows, last = self._take_rows()
        if rows == NOTHING:
            pass
        elif self._is_closed:
            raise self._closed_error()
        elif self._thread is None:
            self._report_write(self._timed_write(rows))
        else:
            self._report_write(self._thread.submit(self._timed_write, rows).result())
        self._release(last)

    async def check_store(self) -> None:
        """Check that the store can be written to.

        Raises:
            StoreUnusable: it can't.
        """
        if self._is_closed:
            raise self._closed_error()
        if self._thread is None:
            self._store.write(NOTHING)
        else:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._thread, self._store.write, NOTHING)

    def close(self) -> None:
        """Finish the writes under way and close the store, if it is open."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            if self._thread is not None:
                self._thread.shutdown()
        finally:
            self._store.close()

    def _check_fault(self) -> None:
        """Raise what a write has failed with: what it should have written is in no later one."""
        if self._fault is not None:
            raise self._fault

    def _closed_error(self) -> StoreUnusable:
        # The run may have ended because of this store.
        if isinstance(self._fault, StoreUnusable):
            return self._fault
        return StoreUnusable("the run has ended, and its store is closed")

    def _timed_write(self, rows: Rows) -> float:
        began_at = perf_counter()
        try:
            self._store.write(rows)
        except BaseException as fault:
            self._fault = fault
            raise
        return perf_counter() - began_at

    def _report_write(self, took_s: float) -> None:
        if self._write_watcher is not None:
            self._write_watcher(took_s)

    def _take_rows(self) -> tuple[Rows, int]:
        held_back = self._held_back
        unwritten = islice(held_back, len(held_back) - self._unwritten, None)
        occurrences = [each for each in unwritten if isinstance(each, Occurrence)]
        self._unwritten = 0
        heard_from, self._heard_from = self._heard_from, []
        rows = changed_rows(self._board, occurrences, heard_from)
        if occurrences and (learned := self._learned.changed()):
            # With the results that they were learned from.
            rows = rows._replace(learned=learned)
        if schedules := changed_schedules(self._board.schedules):
            # With the tasks of their due times.
            rows = rows._replace(schedules=schedules)
        return rows, self._committed + len(held_back)

    def _release(self, last: int) -> None:
        # A later `write_at_once` may have released some already: its rows were written after these.
        while self._committed < last:
            self._committed += 1
            self._ready.append(self._held_back.popleft())
        # One queue for all: a call that an instruction leads to carries out the older ones first.
        self._carry_out(self._ready)
