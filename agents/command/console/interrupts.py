"""Handles Ctrl-C and SIGTERM: the first signal stops gracefully, the second exits at once."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Awaitable, Callable, Generator
from types import FrameType, TracebackType

from .exit import exit_now

SIGNALS = (signal.SIGINT, signal.SIGTERM)
INSTALL_INTERVAL_S = 0.1
EARLY_INSTALL_INTERVAL_S = 0.01
EARLY_PERIOD_S = 10.0
"""How long the shorter interval applies: Ceylon replaces the handlers soon after the start."""

_SIGNAL_EXIT_CODE_BASE = 128


class Interrupts:
    """A context manager: the first SIGINT or SIGTERM calls `stop`, the second exits the process.

    Args:
        stop: starts a graceful shutdown, after which the run returns by itself.
        handle_sigint: False ignores Ctrl-C, which the parent process handles.
    """

    def __init__(self, stop: Callable[[], Awaitable[None]], *, handle_sigint: bool = True) -> None:
        self._stop = stop
        self._heed_ctrl_c = handle_sigint
        self._received = False
        self._loop: asyncio.AbstractEventLoop
        self._installing: asyncio.Task[None] | None = None
        self._stopping: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Interrupts:
        """Install the signal handlers."""
        self._loop = asyncio.get_running_loop()
        self._install()
        # The parent process may have blocked it.
        unblock_sigint()
        self._installing = asyncio.create_task(self._keep_installed())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Restore the default signal handlers."""
        if self._installing is not None:
            self._installing.cancel()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if self._stopping is not None:
            await self._stopping

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
        if self._received:
            exit_now(_SIGNAL_EXIT_CODE_BASE + number)
        self._received = True
        self._loop.call_soon_threadsafe(self._start_to_stop)

    def _start_to_stop(self) -> None:
        self._stopping = asyncio.ensure_future(self._stop())


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
