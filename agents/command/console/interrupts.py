"""Ctrl-C and SIGTERM: the first stops in an orderly way, the second leaves at once."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Awaitable, Callable, Generator
from types import FrameType, TracebackType

from .exit import exit_now

SIGNALS = (signal.SIGINT, signal.SIGTERM)
INSTALL_EVERY_S = 0.1
INSTALL_AT_FIRST_EVERY_S = 0.01
AT_FIRST_S = 10.0
"""For how long handlers are installed again more often: a worker is let in soon after it starts."""

_KILLED_BY = 128


class Interrupts:
    """While it is entered, the first SIGINT or SIGTERM calls `stop`, the second ends the process.

    Args:
        stop: begins an orderly end; the run is then expected to return by itself.
        handle_sigint: False leaves Ctrl-C to the process that started this one.
    """

    def __init__(self, stop: Callable[[], Awaitable[None]], *, handle_sigint: bool = True) -> None:
        self._stop = stop
        self._heed_ctrl_c = handle_sigint
        self._received = False
        self._loop: asyncio.AbstractEventLoop
        self._installing: asyncio.Task[None] | None = None
        self._stopping: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Interrupts:
        """Begin to listen."""
        self._loop = asyncio.get_running_loop()
        self._install()
        # Whoever started this process may have held it back until now.
        unblock_sigint()
        self._installing = asyncio.create_task(self._keep_installed())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Listen no more."""
        if self._installing is not None:
            self._installing.cancel()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if self._stopping is not None:
            await self._stopping

    async def _keep_installed(self) -> None:
        # Ceylon installs a handler of its own when its first agent starts, which tears the network
        # down before anyone could say goodbye. It does so once, and the last one installed wins.
        loop = asyncio.get_running_loop()
        settles_at = loop.time() + AT_FIRST_S
        while True:
            is_early = loop.time() < settles_at
            await asyncio.sleep(INSTALL_AT_FIRST_EVERY_S if is_early else INSTALL_EVERY_S)
            self._install()

    def _install(self) -> None:
        # Not `add_signal_handler`: what that calls waits until the loop turns, and a handler that
        # blocks the loop would keep the process from being left at once.
        for number in SIGNALS:
            signal.signal(number, self._receive)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        del frame
        if number == signal.SIGINT and not self._heed_ctrl_c:
            return
        if self._received:
            exit_now(_KILLED_BY + number)
        self._received = True
        self._loop.call_soon_threadsafe(self._begin_to_stop)

    def _begin_to_stop(self) -> None:
        self._stopping = asyncio.ensure_future(self._stop())


@contextlib.contextmanager
def block_sigint_in_children() -> Generator[None, None, None]:
    """Let the processes that are started from this thread meanwhile begin with Ctrl-C held back.

    The terminal sends it to them as well, and one that is still importing would die of it with a
    traceback. They let it through when they are ready for it. Meanwhile it waits here, too.
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
    """Hold Ctrl-C back no longer."""
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))


def ignore_sigint() -> None:
    """Leave Ctrl-C to the process that started this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    unblock_sigint()
