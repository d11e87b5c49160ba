"""Sends changes to all open pages, several times a second, in frames that they share.

A page that reads too slowly misses frames and is then sent the whole state again; nothing is queued
for it.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator
from typing import NamedTuple

from ...messages import TaskId
from ..manager.task_manager import TaskManager
from ..runtime.clock import now
from ..runtime.log import log
from .page_state import PageState, View

CHANGES_EVERY_S = 0.2
"""How often changes are sent, in seconds."""

HEARTBEAT_EVERY_S = 1.0
"""How often a frame is sent at least, in seconds."""

MAX_FRAMES = 25
"""How many frames are kept for pages that read slowly: those of five seconds."""

MAX_PAGES = 32
"""How many pages may be open at once."""

ROWS_PER_FRAME = 1_000


class _Start(NamedTuple):
    head: View
    task_ids: list[TaskId]
    next_frame: int


class Feed:
    """Follows a manager's run from now on, for up to `MAX_PAGES` pages.

    It may run in another event loop than its manager; it then waits for the manager's at each
    change.

    Args:
        manager: the manager.
    """

    def __init__(self, manager: TaskManager) -> None:
        self._manager = manager
        self._state = PageState(manager.name, now())
        self._frames: deque[bytes] = deque(maxlen=MAX_FRAMES)
        self._next_frame = 0
        self._changed = asyncio.Condition()
        self._running: asyncio.Task[None] | None = None
        self._sent_at = 0.0
        self._is_closed = False
        self.pages = 0
        self.late_s = 0.0
        manager.watch(self._state.note)

    @property
    def is_full(self) -> bool:
        """Whether no further page can be opened."""
        return self.pages >= MAX_PAGES

    def run(self) -> None:
        """Start taking samples in the running loop, unless it has started."""
        if self._running is None and not self._is_closed:
            self._running = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Send all pages the final state, and stop following the run."""
        if self._is_closed:
            return
        if self.pages:
            await self._send_change()
        self._is_closed = True
        async with self._changed:
            self._changed.notify_all()
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def frames(self) -> AsyncGenerator[bytes, None]:
        """The server-sent events for one page, until the feed is closed."""
        if self.is_full:
            yield _event("full", {"pages": self.pages})
            return
        self.run()
        self.pages += 1
        try:
            if self.pages == 1:
                self._manager.ask(lambda: self._state.begin(self._manager.board))
            while not self._is_closed:
                start = self._manager.ask(self._start)
                yield _event("head", start.head)
                for first in range(0, len(start.task_ids), ROWS_PER_FRAME):
                    yield self._rows(start.task_ids[first : first + ROWS_PER_FRAME])
                yield _event("listed", {})
                next_frame = start.next_frame
                while 0 < (unsent := await self._count_from(next_frame)) <= len(self._frames):
                    next_frame += 1
                    yield self._frames[-unsent]
            yield _event("end", {})
        finally:
            self.pages -= 1
            if self.pages == 0:
                self._manager.ask(self._state.end)
                self._frames.clear()

    async def _count_from(self, frame: int) -> int:
        """How many frames there are from one on, once there are any; 0 when the feed is closed."""
        async with self._changed:
            while frame == self._next_frame and not self._is_closed:
                await self._changed.wait()
        return self._next_frame - frame

    # ------------------------------------------------------------------ in the manager's loop

    def _start(self) -> _Start:
        board = self._manager.board
        return _Start(self._state.head(board, now()), self._state.listed(board), self._next_frame)

    def _rows(self, task_ids: list[TaskId]) -> bytes:
        rows = self._manager.ask(lambda: self._state.rows(self._manager.board, task_ids))
        return _event("rows", rows)

    def _change(self) -> View:
        return self._state.change(self._manager.board, now())

    def _sample(self) -> None:
        self._state.sample(self._manager.board, now())

    # ------------------------------------------------------------------ several times a second

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due_at = loop.time() + CHANGES_EVERY_S
            await asyncio.sleep(CHANGES_EVERY_S)
            self.late_s = max(loop.time() - due_at, 0.0)
            try:
                self._manager.ask(self._sample)
                if self.pages:
                    await self._send_change()
            except Exception as fault:  # noqa: BLE001 - one failed change must not end the page
                log.error("a change of the live page could not be sent", exc_info=fault)

    async def _send_change(self) -> None:
        change = self._manager.ask(self._change)
        loop_time = asyncio.get_running_loop().time()
        if len(change) == 1 and loop_time - self._sent_at < HEARTBEAT_EVERY_S:
            return
        self._sent_at = loop_time
        frame = _event("change", change)
        async with self._changed:
            self._frames.append(frame)
            self._next_frame += 1
            self._changed.notify_all()


def _event(name: str, data: View) -> bytes:
    # Python writes JSON as one line of ASCII.
    text = json.dumps(data, separators=(",", ":"))
    return f"event: {name}\ndata: {text}\n\n".encode("ascii")
