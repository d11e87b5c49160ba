"""A process whose stdin and stdout carry lines of JSON; the length of a line is bounded."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path

from ..runtime.log import log

MAX_LINE_BYTES = 8 * 1024 * 1024
"""The maximum size of what a server may send as one message."""

GRACE_S = 2.0
"""How long a process may take to end by itself, and again after SIGTERM, in seconds."""

_INHERITED = (
    *("HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "USER"),
    *("APPDATA", "LOCALAPPDATA", "SYSTEMROOT", "TEMP", "USERNAME", "USERPROFILE"),
)
"""What a server gets of our environment: nothing that may be secret."""

_STDERR_LINES = 20
_STDERR_BYTES = 2_000


class LineTooLong(Exception):
    """The process has written a line that is longer than allowed."""


class StdioProcess:
    """A process that is started and ended by `running`.

    Args:
        process: the process.
        name: what log lines call it.
    """

    def __init__(self, process: asyncio.subprocess.Process, name: str) -> None:
        self._process = process
        self._name = name
        self._last_words: deque[str] = deque(maxlen=_STDERR_LINES)

    @classmethod
    @contextlib.asynccontextmanager
    async def running(
        cls,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path | None,
        name: str,
    ) -> AsyncGenerator[StdioProcess, None]:
        """Start a process, and end it with its children when the block is left.

        Raises:
            OSError: it can't be started.
        """
        inherited = {each: os.environ[each] for each in _INHERITED if each in os.environ}
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=MAX_LINE_BYTES,
            env={**inherited, **environment},
            cwd=folder,
            # Its children end with it, and Ctrl-C is for us to handle.
            start_new_session=True,
        )
        served = cls(process, name)
        listening = asyncio.create_task(served._listen())
        try:
            yield served
        finally:
            await asyncio.shield(asyncio.ensure_future(served._end()))
            listening.cancel()

    async def lines(self) -> AsyncGenerator[bytes, None]:
        """The lines that it writes to stdout, until it ends.

        Raises:
            LineTooLong: one is longer than `MAX_LINE_BYTES`.
        """
        assert self._process.stdout is not None
        while True:
            try:
                line = await self._process.stdout.readline()
            except ValueError:
                raise LineTooLong(
                    f"it sent a message of more than {MAX_LINE_BYTES:,} bytes"
                ) from None
            if not line:
                return
            yield line

    async def send(self, line: bytes) -> None:
        """Write a line to its stdin.

        Raises:
            OSError: it has ended.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(line)
        await self._process.stdin.drain()

    async def how_it_ended(self) -> str:
        """How it ended, with what it wrote to stderr last."""
        try:
            code = await asyncio.wait_for(self._process.wait(), GRACE_S)
        except asyncio.TimeoutError:
            return "it closed its stdout"
        # What it wrote last may still be on its way.
        await asyncio.sleep(0.05)
        ended = (
            f"it was killed by signal {-code}" if code < 0 else f"it ended with exit code {code}"
        )
        words = next((each for each in reversed(self._last_words) if each.strip()), "")
        return f"{ended}; it said: {words.strip()[:300]!r}" if words else ended

    async def _listen(self) -> None:
        """Read its stderr, so that it is not blocked; a bounded part is kept and logged."""
        assert self._process.stderr is not None
        while True:
            part = await self._process.stderr.read(65_536)
            if not part:
                return
            for line in part[-_STDERR_BYTES:].decode(errors="replace").splitlines():
                self._last_words.append(line[:500])
                log.debug("an MCP server wrote to stderr", server=self._name, line=line[:500])

    async def _end(self) -> None:
        process = self._process
        if process.stdin is not None:
            process.stdin.close()
        for number in (None, signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
            if number is not None:
                self._signal(number)
            # What it still writes would keep it from ending.
            draining = asyncio.ensure_future(self._discard())
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(process.wait(), GRACE_S)
            draining.cancel()
            if process.returncode is not None:
                break
        # Its children, if any of them are left.
        self._signal(getattr(signal, "SIGKILL", signal.SIGTERM))

    def _signal(self, number: int) -> None:
        with contextlib.suppress(OSError):
            if sys.platform == "win32":
                self._process.send_signal(number)
            else:
                os.killpg(self._process.pid, number)

    async def _discard(self) -> None:
        stdout = self._process.stdout
        while stdout is not None and await stdout.read(65_536):
            pass
