"""Handles Ctrl-C and SIGTERM: what the first, the second and the third signal lead to."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Generator
from types import FrameType
from typing import TypeAlias

from .exit import exit_now

SIGNALS = (signal.SIGINT, signal.SIGTERM)
INSTALL_INTERVAL_S = 0.1
EARLY_INSTALL_INTERVAL_S = 0.01
EARLY_PERIOD_S = 10.0
"""How long the shorter interval applies: Ceylon replaces the handlers soon after the start."""

EXIT_WITHIN_S = 1.5
"""How long a command may take to stop after the signal that ends its time of grace."""

_SIGNAL_EXIT_CODE_BASE = 128

Shutdown: TypeAlias = Callable[[], Awaitable[None]]


class Interrupts:
    """A context manager: the first SIGINT or SIGTERM calls `stop`, the second exits the process.

    With `finish`, the first SIGTERM calls that, which may take its time. The next signal calls
    `stop`, and the process exits within `EXIT_WITHIN_S` even if that hangs.

    Args:
        stop: starts a graceful shutdown, after which the run returns by itself.
        handle_sigint: False ignores Ctrl-C, which the parent process handles.
        finish: like `stop`, but first finishes what runs; None if there is nothing to finish.
    """

    def __init__(
        self, stop: Shutdown, *, handle_sigint: bool = True, finish: Shutdown | None = None
    ) -> None:
        self._stop = stop
        self._finish = finish
        self._heed_ctrl_c = handle_sigint
        self._is_finishing = self._is_stopping = False
        self._exit_timer: threading.Timer | None = None
        self._loop: asyncio.AbstractEventLoop
        self._installing: asyncio.Task[None] | None = None
        self._shutdowns: list[asyncio.Future[None]] = []

    async def __aenter__(self) -> Interrupts:
        """Install the signal handlers."""
        self._loop = asyncio.get_running_loop()
        self._install()
        # The parent process may have blocked it.
        unblock_sigint()
        self._installing = asyncio.create_task(self._keep_installed())
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Restore the default signal handlers."""
        if self._installing is not None:
            self._installing.cancel()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        await asyncio.gather(*self._shutdowns)
        if self._exit_timer is not None:
            self._exit_timer.cancel()

    async def _keep_installed(self) -> None:
        # When its first agent starts, Ceylon installs a handler that closes the network before any
        # agent could say goodbye. It does so only once, and the last installed handler wins.
        loop = asyncio.get_running_loop()
        early_until = loop.time() + EARLY_PERIOD_S
        while True:
            is_early = loop.time() < early_until
            await asyncio.sleep(EARLY_INSTALL_INTERVAL_S if is_early else INSTALL_INTERVAL_S)
            self._install()

    def _install(self) -> None:
        # Not `add_signal_handler`: its callbacks need a running event loop. If a task blocks the
        # loop, the second signal could not exit the process.
        for number in SIGNALS:
            signal.signal(number, self._receive)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        del frame
        if number == signal.SIGINT and not self._heed_ctrl_c:
            return
        code = _SIGNAL_EXIT_CODE_BASE + number
        if self._is_stopping:
            exit_now(code)
        if self._finish is not None and number == signal.SIGTERM and not self._is_finishing:
            self._is_finishing = True
            self._loop.call_soon_threadsafe(self._start, self._finish)
            return
        self._is_stopping = True
        if self._is_finishing:
            # A task may block the loop, and with it the shutdown.
            self._exit_timer = threading.Timer(EXIT_WITHIN_S, exit_now, (code,))
            self._exit_timer.daemon = True
            self._exit_timer.start()
        self._loop.call_soon_threadsafe(self._start, self._stop)

    def _start(self, shutdown: Shutdown) -> None:
        self._shutdowns.append(asyncio.ensure_future(shutdown()))


@contextlib.contextmanager
def block_sigint_in_children() -> Generator[None, None, None]:
    """Start child processes of this thread with SIGINT blocked.

    The terminal sends Ctrl-C to them as well, and a process that is still importing would end with
    a traceback. Each child unblocks the signal when its handler is installed. The signal is also
    blocked in this thread until the block ends.
    """
    if sys.platform == "win32":
        yield
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
    try:
        yield
    finally:
        unblock_sigint()


def unblock_sigint() -> None:
    """Unblock SIGINT in this thread."""
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))


def ignore_sigint() -> None:
    """Ignore SIGINT, which the parent process handles."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    unblock_sigint()
