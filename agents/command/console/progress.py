"""Shows the progress of a run without slowing it: it counts every event but rarely draws."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from typing import Protocol

from rich.console import Console

from ...kernel.matching.limited_tasks import describe_held_back
from ...kernel.matching.task_queue import TaskQueue
from ...manager.task_manager import TaskManager
from ...runtime.clock import now
from .live_display import LiveDisplay
from .plain_lines import PlainLines
from .tally import RunTally

DRAW_INTERVAL_S = 0.1
PAUSE_TO_DRAW_RATIO = 20
"""After each drawing follows a pause of this many times its duration, so it takes at most 5 %."""


class Display(Protocol):
    """Shows progress."""

    def draw(self, tally: RunTally, at: float) -> None:
        """Show the current state of the run."""
        ...

    def close(self, tally: RunTally, at: float) -> None:
        """Show the final state, before the report is printed."""
        ...


def find_display() -> Display:
    """The display for stdout: live at a terminal, else plain lines."""
    console = Console()
    if sys.stdout.isatty() and console.is_terminal and not console.is_dumb_terminal:
        return LiveDisplay(console)
    return PlainLines(sys.stdout)


class Progress:
    """A context manager that shows the progress of a manager's run.

    Args:
        display: the display; None shows nothing.
    """

    def __init__(self, display: Display | None) -> None:
        self._display = display
        self._tally: RunTally | None = None
        self._drawing: asyncio.Task[None] | None = None
        self._queue: TaskQueue | None = None

    def follow(self, manager: TaskManager) -> None:
        """Show the run of this manager, which must not have started yet."""
        if self._display is not None:
            # The counts of a run that is resumed from a store.
            before = manager.board.counts if manager.tasks_assigned else None
            self._tally = RunTally(len(manager.tasks), now(), before)
            self._tally.is_paused = manager.board.pause.since is not None
            self._queue = manager.board.queue
            manager.watch(self._tally.note)

    async def __aenter__(self) -> Progress:
        """Start to draw."""
        if self._display is not None:
            self._drawing = asyncio.create_task(self._draw_periodically(self._display))
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Show the final state."""
        if self._display is None or self._drawing is None:
            return
        reader_left = self._drawing.done()
        self._drawing.cancel()
        await asyncio.gather(self._drawing, return_exceptions=True)
        if self._tally is not None and not reader_left:
            # The reader may leave at any time; the run is not affected.
            with contextlib.suppress(BrokenPipeError):
                self._display.close(self._tally, now())

    async def _draw_periodically(self, display: Display) -> None:
        while True:
            began = time.perf_counter()
            if self._tally is not None:
                if self._queue is not None:
                    self._tally.limits = describe_held_back(self._queue, now())
                try:
                    display.draw(self._tally, now())
                except OSError:
                    # The reader of stdout has gone, as with `| head`; the run continues.
                    return
            took_s = time.perf_counter() - began
            await asyncio.sleep(max(DRAW_INTERVAL_S, PAUSE_TO_DRAW_RATIO * took_s))
