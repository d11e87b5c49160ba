"""Shows how a run gets on, without slowing it: occurrences are only counted, drawing is rare."""

from __future__ import annotations

import asyncio
import sys
import time
from types import TracebackType
from typing import Protocol

from rich.console import Console

from ...manager.task_manager import TaskManager
from ...runtime.clock import now
from .live_display import LiveDisplay
from .plain_lines import PlainLines
from .tally import RunTally

DRAW_EVERY_S = 0.1
PAUSE_PER_DRAWING = 20
"""A drawing is followed by a pause of so many times its length: it takes a twentieth at most."""


class Display(Protocol):
    """Where progress is shown."""

    def draw(self, tally: RunTally, at: float) -> None:
        """Show the run as it stands."""
        ...

    def close(self, tally: RunTally, at: float) -> None:
        """Show the last of it, and make room for the report."""
        ...


def find_display() -> Display:
    """The display that suits stdout: drawn on a terminal, else line by line."""
    console = Console()
    if sys.stdout.isatty() and console.is_terminal and not console.is_dumb_terminal:
        return LiveDisplay(console)
    return PlainLines(sys.stdout)


class Progress:
    """While it is entered, a followed manager's run is shown.

    Args:
        display: where; None shows nothing.
    """

    def __init__(self, display: Display | None) -> None:
        self._display = display
        self._tally: RunTally | None = None
        self._drawing: asyncio.Task[None] | None = None

    def follow(self, manager: TaskManager) -> None:
        """Show the run of this manager, which has not started yet."""
        if self._display is not None:
            # A run that its store had already.
            before = manager.report().counts if manager.tasks_assigned else None
            self._tally = RunTally(len(manager.tasks), now(), before)
            manager.watch(self._tally.note)

    async def __aenter__(self) -> Progress:
        """Begin to show."""
        if self._display is not None:
            self._drawing = asyncio.create_task(self._draw_now_and_then(self._display))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Show the rest."""
        if self._display is None or self._drawing is None:
            return
        reader_left = self._drawing.done()
        self._drawing.cancel()
        await asyncio.gather(self._drawing, return_exceptions=True)
        if self._tally is not None and not reader_left:
            self._display.close(self._tally, now())

    async def _draw_now_and_then(self, display: Display) -> None:
        while True:
            began = time.perf_counter()
            if self._tally is not None:
                try:
                    display.draw(self._tally, now())
                except OSError:
                    # Whoever read our output has gone, as `| head` does; the run goes on.
                    return
            took_s = time.perf_counter() - began
            await asyncio.sleep(max(DRAW_EVERY_S, PAUSE_PER_DRAWING * took_s))
