"""One run of a `LocalTaskManager`, and the way from any thread into its loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from contextvars import copy_context

from ..runtime.clock import Clock


class LocalRun:
    """One `run_tasks`, from its beginning to its end; made in its loop.

    `ended` is set when it is to end, `has_left` as soon as the board's worker is gone, and
    `is_woken` while what the board said waits to be done. `clock` is that of its loop, for
    whatever thread asks.

    Args:
        worker_id: where the board knows its worker.
    """

    def __init__(self, worker_id: str) -> None:
        self.worker_id = worker_id
        self.ended = asyncio.Event()
        self.has_left = False
        self.is_woken = False
        self.clock = Clock.current()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        # Tasks run in the context of `run_tasks`, not in that of whoever happens to wake it.
        self._context = copy_context()

    def call_soon(self, function: Callable[[], object]) -> None:
        """Call a function in the loop, whatever thread asks for it."""
        if threading.get_ident() == self._thread:
            self._loop.call_soon(function, context=self._context)
        else:
            # Whoever closes a loop that still runs tasks has ended them.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(function, context=self._context)
