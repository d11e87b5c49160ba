"""One run of a `LocalTaskManager`, with calls from any thread into its loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from contextvars import copy_context

from ..runtime.clock import Clock


class LocalRun:
    """One call of `run_tasks`; created in its loop.

    `ended` is set when the run must end, `has_left` once the board's worker has left, and
    `is_woken` while actions wait to be executed. `clock` is the clock of its loop, for any thread.

    Args:
        worker_id: the board's id of its worker.
    """

    def __init__(self, worker_id: str) -> None:
        self.worker_id = worker_id
        self.ended = asyncio.Event()
        self.has_left = False
        self.is_woken = False
        self.clock = Clock.current()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        # Tasks run in the context of `run_tasks`, not in that of the caller.
        self._context = copy_context()

    def call_soon(self, function: Callable[[], object]) -> None:
        """Call a function in the loop, from any thread."""
        if threading.get_ident() == self._thread:
            self._loop.call_soon(function, context=self._context)
        else:
            # The loop may be closed, which has ended all its tasks.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(function, context=self._context)
