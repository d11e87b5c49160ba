"""Runs SuperAGI's own tools in a child process with its own Python and folder.

SuperAGI needs pydantic 1, but Ceylon pins pydantic 2, and SuperAGI writes a file outside its
package. The processes exchange lines of JSON over the child's pipes; see `child.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import tempfile
import weakref
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import to_json

from ....messages import BackendFailed, MusterError
from ...runtime.timeouts import within

CHILD = Path(__file__).with_name("child.py")
START_TIMEOUT_S = 60.0
CALL_TIMEOUT_S = 180.0
EXIT_TIMEOUT_S = 2.0
MAX_LINE_BYTES = 32 * 1024 * 1024
STDERR_LINES_KEPT = 20
MAX_STDERR_LINE_CHARACTERS = 500


class ChildMessage(BaseModel):
    """One line from the child: that it is ready, a request, or the end of a call."""

    model_config = ConfigDict(extra="forbid")

    ready: str | None = None
    ask: str | None = None
    url: str = ""
    messages: list[dict[str, str]] = []
    max_tokens: int | None = None
    result: str | None = None
    failed: str | None = None


RequestHandler: TypeAlias = Callable[[ChildMessage], Awaitable[Mapping[str, object]]]
"""Handles a request of SuperAGI for a page or a completion."""


class Bridge:
    """Calls SuperAGI's tools, one call at a time; the first call starts the child.

    A child that hangs or dies, or whose call is cancelled, is killed. The next call starts a new
    one.

    Args:
        python: the interpreter with SuperAGI's packages.
        checkout: the folder of SuperAGI, which stays unchanged.
        call_timeout_s: the timeout of a call, in seconds.
    """

    def __init__(
        self, python: Path, checkout: Path, *, call_timeout_s: float = CALL_TIMEOUT_S
    ) -> None:
        self._python = python
        self._checkout = checkout
        self._call_timeout_s = call_timeout_s
        self._lock = asyncio.Lock()
        self._child: _Child | None = None

    async def call(self, name: str, handle: RequestHandler | None = None, **arguments: str) -> str:
        """Call a function of the child.

        Args:
            name: "scrape", "summarize" or "check".
            handle: handles the requests of SuperAGI during the call.
            **arguments: the arguments of the function.

        Raises:
            BackendFailed: the child can't be started, died, hung, or reported an error.
            MusterError: a request of SuperAGI failed.
        """
        async with self._lock:
            try:
                if self._child is None:
                    self._child = await _Child.start(self._python, self._checkout)
                return await within(self._call_timeout_s, self._child.call(name, handle, arguments))
            except asyncio.TimeoutError:
                await self._end()
                raise BackendFailed(
                    f"SuperAGI took more than {self._call_timeout_s:g} s to {name}"
                ) from None
            except _ChildFailed as fault:
                errors = "" if self._child is None else self._child.stderr_text()
                await self._end()
                raise BackendFailed(f"SuperAGI's process {fault}{errors}") from None
            except MusterError:
                # The call has ended, so the child stays usable.
                raise
            except BaseException:
                # The call may still run, and its result must not reach the next call.
                await self._end()
                raise

    async def aclose(self) -> None:
        """Kill the child, if there is one."""
        async with self._lock:
            await self._end()

    async def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            await child.end()


class _ChildFailed(Exception):
    """The child is unusable; the message says what happened."""


class _Child:
    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self._process = process
        # Also runs at process exit, because a worker does not notify its handlers when it ends.
        self._delete_folder = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self._stderr_lines: deque[str] = deque(maxlen=STDERR_LINES_KEPT)
        self._reading_stderr = asyncio.ensure_future(self._read_stderr())

    @classmethod
    async def start(cls, python: Path, checkout: Path) -> _Child:
        folder = Path(tempfile.mkdtemp(prefix="muster-superagi-"))
        try:
            _place_package(checkout, folder)
            process = await asyncio.create_subprocess_exec(
                str(python),
                str(CHILD),
                cwd=folder,
                env=_environment(folder),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=MAX_LINE_BYTES,
            )
        except OSError as fault:
            shutil.rmtree(folder, ignore_errors=True)
            raise BackendFailed(f"SuperAGI's process can't be started: {fault}") from None
        except asyncio.CancelledError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        child = cls(process, folder)
        try:
            await within(START_TIMEOUT_S, child.receive())
        except asyncio.TimeoutError:
            await child.end()
            raise BackendFailed(
                f"SuperAGI's process took more than {START_TIMEOUT_S:g} s to start"
            ) from None
        except _ChildFailed as fault:
            errors = child.stderr_text()
            await child.end()
            raise BackendFailed(f"SuperAGI's process {fault}{errors}") from None
        except asyncio.CancelledError:
            await child.end()
            raise
        return child

    async def call(
        self, name: str, handle: RequestHandler | None, arguments: Mapping[str, str]
    ) -> str:
        await self._send({"call": name, **arguments})
        error: MusterError | None = None
        while True:
            message = await self.receive()
            if message.ask is not None:
                reply: Mapping[str, object]
                try:
                    if handle is None:
                        raise BackendFailed(f"SuperAGI requested a {message.ask} to {name}")
                    reply = await handle(message)
                except MusterError as fault:
                    # SuperAGI's own error does not contain the reason.
                    error = fault
                    reply = {"failed": str(fault)}
                await self._send(reply)
            elif error is not None:
                raise error
            elif message.failed is not None:
                raise BackendFailed(f"SuperAGI failed to {name}: {message.failed}")
            elif message.result is not None:
                return message.result

    def stderr_text(self) -> str:
        """The last lines of stderr, as the continuation of an error message."""
        return "".join(f"\n  {line}" for line in self._stderr_lines)

    async def end(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        with contextlib.suppress(asyncio.TimeoutError):
            await within(EXIT_TIMEOUT_S, self._process.wait())
        self._reading_stderr.cancel()
        await asyncio.gather(self._reading_stderr, return_exceptions=True)
        self._delete_folder()

    async def _send(self, line: Mapping[str, object]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(to_json(line) + b"\n")
            await self._process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            raise _ChildFailed("has ended") from None

    async def receive(self) -> ChildMessage:
        """The next message."""
        assert self._process.stdout is not None
        try:
            line = await self._process.stdout.readline()
        except ValueError:
            raise _ChildFailed(f"sent more than {MAX_LINE_BYTES:,} bytes in one line") from None
        if not line:
            await asyncio.wait([self._reading_stderr], timeout=EXIT_TIMEOUT_S)
            raise _ChildFailed("has ended")
        try:
            return ChildMessage.model_validate_json(line)
        except ValidationError:
            raise _ChildFailed("sent an invalid message") from None

    async def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        while chunk := await self._process.stderr.read(65_536):
            for line in chunk.decode("utf-8", "replace").splitlines():
                self._stderr_lines.append(line[:MAX_STDERR_LINE_CHARACTERS])


def _place_package(checkout: Path, folder: Path) -> None:
    """Provide SuperAGI's package in a writable folder."""
    package = checkout / "superagi"
    try:
        (folder / "superagi").symlink_to(package, target_is_directory=True)
    except OSError:
        # On Windows, few users may create links.
        shutil.copytree(package, folder / "superagi")


def _environment(folder: Path) -> dict[str, str]:
    """The variables that SuperAGI needs, and no others: it reads all of them as its settings."""
    passed_on = ("PATH", "SYSTEMROOT", "LANG", "LC_ALL", "TZ")
    return {
        **{name: os.environ[name] for name in passed_on if name in os.environ},
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "PYTHONUTF8": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        # SuperAGI requires a key for its database, which is not used here.
        "ENCRYPTION_KEY": secrets.token_hex(16),
    }
