"""A child process that runs SuperAGI's own tools, in a Python and a folder of its own.

SuperAGI needs a pydantic below version 2, where Ceylon pins one of version 2, and writes a file
above its package. The two speak in lines of JSON over the child's pipes; see `superagi_child.py`.
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
STARTING_MAY_TAKE_S = 60.0
CALL_MAY_TAKE_S = 180.0
LEAVING_MAY_TAKE_S = 2.0
LARGEST_LINE_BYTES = 32 * 1024 * 1024
COMPLAINTS_KEPT = 20
LONGEST_COMPLAINT_CHARACTERS = 500


class FromChild(BaseModel):
    """One line from the child: its greeting, a question, or how a call ended."""

    model_config = ConfigDict(extra="forbid")

    ready: str | None = None
    ask: str | None = None
    url: str = ""
    messages: list[dict[str, str]] = []
    max_tokens: int | None = None
    result: str | None = None
    failed: str | None = None


Answerer: TypeAlias = Callable[[FromChild], Awaitable[Mapping[str, object]]]
"""Answers what SuperAGI asks of the world: a page, or a completion."""


class Bridge:
    """Calls SuperAGI's tools, one call at a time; starts the child when it is first needed.

    A child that hangs, dies, or whose call is cancelled is ended, and the next call has a new one.

    Args:
        python: the interpreter that has SuperAGI's packages.
        checkout: SuperAGI; nothing is written into it.
        call_may_take_s: seconds after which a call counts as hanging.
    """

    def __init__(
        self, python: Path, checkout: Path, *, call_may_take_s: float = CALL_MAY_TAKE_S
    ) -> None:
        self._python = python
        self._checkout = checkout
        self._call_may_take_s = call_may_take_s
        self._turn = asyncio.Lock()
        self._child: _Child | None = None

    async def call(self, name: str, answer: Answerer | None = None, **arguments: str) -> str:
        """Have something done.

        Args:
            name: "scrape", "summarize" or "check".
            answer: answers what SuperAGI asks meanwhile.
            **arguments: what the call takes.

        Raises:
            BackendFailed: the child can't be started, died, hung, or told of a failure.
            MusterError: what SuperAGI asked for could not be had.
        """
        async with self._turn:
            try:
                if self._child is None:
                    self._child = await _Child.start(self._python, self._checkout)
                return await within(
                    self._call_may_take_s, self._child.call(name, answer, arguments)
                )
            except asyncio.TimeoutError:
                await self._end()
                raise BackendFailed(
                    f"SuperAGI took more than {self._call_may_take_s:g} s to {name}"
                ) from None
            except _ChildLost as lost:
                complaints = "" if self._child is None else self._child.complaints()
                await self._end()
                raise BackendFailed(f"SuperAGI's process {lost}{complaints}") from None
            except MusterError:
                # It has answered.
                raise
            except BaseException:
                # It may still be at it, and what it says next is no answer to the next call.
                await self._end()
                raise

    async def aclose(self) -> None:
        """End the child, if there is one."""
        async with self._turn:
            await self._end()

    async def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            await child.end()


class _ChildLost(Exception):
    """The child is of no more use; says what happened to it."""


class _Child:
    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self._process = process
        # Also at the end of the process, since a worker doesn't tell its handlers that it ends.
        self._tidy_up = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self._complaints: deque[str] = deque(maxlen=COMPLAINTS_KEPT)
        self._listening = asyncio.ensure_future(self._hear_complaints())

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
                limit=LARGEST_LINE_BYTES,
            )
        except OSError as fault:
            shutil.rmtree(folder, ignore_errors=True)
            raise BackendFailed(f"SuperAGI's process can't be started: {fault}") from None
        except asyncio.CancelledError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        child = cls(process, folder)
        try:
            await within(STARTING_MAY_TAKE_S, child.hear())
        except asyncio.TimeoutError:
            await child.end()
            raise BackendFailed(
                f"SuperAGI's process took more than {STARTING_MAY_TAKE_S:g} s to start"
            ) from None
        except _ChildLost as lost:
            complaints = child.complaints()
            await child.end()
            raise BackendFailed(f"SuperAGI's process {lost}{complaints}") from None
        except asyncio.CancelledError:
            await child.end()
            raise
        return child

    async def call(self, name: str, answer: Answerer | None, arguments: Mapping[str, str]) -> str:
        await self._tell({"call": name, **arguments})
        trouble: MusterError | None = None
        while True:
            heard = await self.hear()
            if heard.ask is not None:
                reply: Mapping[str, object]
                try:
                    if answer is None:
                        raise BackendFailed(f"SuperAGI asked for a {heard.ask} to {name}")
                    reply = await answer(heard)
                except MusterError as fault:
                    # SuperAGI swallows its reason, so it is kept here.
                    trouble = fault
                    reply = {"failed": str(fault)}
                await self._tell(reply)
            elif trouble is not None:
                raise trouble
            elif heard.failed is not None:
                raise BackendFailed(f"SuperAGI failed to {name}: {heard.failed}")
            elif heard.result is not None:
                return heard.result

    def complaints(self) -> str:
        """What it wrote to stderr last, to stand behind a message."""
        return "".join(f"\n  {line}" for line in self._complaints)

    async def end(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        with contextlib.suppress(asyncio.TimeoutError):
            await within(LEAVING_MAY_TAKE_S, self._process.wait())
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)
        self._tidy_up()

    async def _tell(self, line: Mapping[str, object]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(to_json(line) + b"\n")
            await self._process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            raise _ChildLost("has ended") from None

    async def hear(self) -> FromChild:
        """The next line."""
        assert self._process.stdout is not None
        try:
            line = await self._process.stdout.readline()
        except ValueError:
            raise _ChildLost(f"said more than {LARGEST_LINE_BYTES:,} bytes at once") from None
        if not line:
            await asyncio.wait([self._listening], timeout=LEAVING_MAY_TAKE_S)
            raise _ChildLost("has ended")
        try:
            return FromChild.model_validate_json(line)
        except ValidationError:
            raise _ChildLost("said what nobody understands") from None

    async def _hear_complaints(self) -> None:
        assert self._process.stderr is not None
        while chunk := await self._process.stderr.read(65_536):
            for line in chunk.decode("utf-8", "replace").splitlines():
                self._complaints.append(line[:LONGEST_COMPLAINT_CHARACTERS])


def _place_package(checkout: Path, folder: Path) -> None:
    """Give the child SuperAGI's package in a folder that may be written to."""
    package = checkout / "superagi"
    try:
        (folder / "superagi").symlink_to(package, target_is_directory=True)
    except OSError:
        # Windows lets few users make links.
        shutil.copytree(package, folder / "superagi")


def _environment(folder: Path) -> dict[str, str]:
    """What SuperAGI needs, and nothing of the user's: it takes all variables into its settings."""
    kept = ("PATH", "SYSTEMROOT", "LANG", "LC_ALL", "TZ")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "PYTHONUTF8": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        # It encrypts what it keeps in its database, of which there is none here.
        "ENCRYPTION_KEY": secrets.token_hex(16),
    }
