"""Formats the traceback of an exception: bounded, without local variables, safe for terminals."""

from __future__ import annotations

import asyncio
import concurrent.futures
import linecache
import os
import threading
import traceback
from collections.abc import Iterable, Iterator
from types import FrameType, TracebackType
from typing import NamedTuple, cast

from ...messages.wording import elide_middle
from ...messages.work import MAX_TRACEBACK_CHARACTERS
from .error_text import HandlerFailed, describe_fault, parts_of
from .terminal_text import terminal_lines

MAX_FRAMES = 40
"""How many frames of one exception are shown; the middle ones are left out."""

MAX_EXCEPTIONS = 12
"""How many exceptions are shown: the exception, its causes and contexts, and parts of groups."""

_MAX_LINE_CHARACTERS = 200
_MAX_MESSAGE_CHARACTERS = 2_000

_CAUSED = "The above exception was the direct cause of the following exception:"
_HANDLING = "During handling of the above exception, another exception occurred:"

_MACHINERY = (
    "command",
    "execution",
    "local",
    "manager",
    "mcp",
    "models",
    "one_machine",
    "runtime",
    "transport",
    "worker",
)
"""The folders of `agents/` whose code calls the users' functions."""

_AGENTS = os.path.dirname(os.path.dirname(__file__))
_CALLERS = (
    *(os.path.join(_AGENTS, folder, "") for folder in _MACHINERY),
    *(package.__path__[0] + os.sep for package in (asyncio, concurrent.futures)),
    threading.__file__,
)
"""The beginnings of the paths of code that calls the users' functions."""


class _Frame(NamedTuple):
    file: str
    line: int
    function: str
    source: str

    def text(self) -> str:
        place = f'  File "{self.file}", line {self.line}, in {self.function}\n'
        return f"{place}    {self.source}\n" if self.source else place


def format_traceback(fault: BaseException) -> str | None:
    """The traceback of an exception in Python's usual form, of bounded length.

    It has the causes, the contexts and the parts of groups. The frames in which Muster calls a
    user's function are left out, and no values of variables are told.

    Args:
        fault: the exception.

    Returns:
        The text; None if no code of a user took part.
    """
    if isinstance(fault, HandlerFailed):
        return fault.traceback
    writer = _Writer()
    try:
        text = "".join(writer.write(fault))
    except Exception:  # noqa: BLE001 - the exception may be of a user's class, with any attributes
        return None
    if not writer.has_frames:
        return None
    safe = terminal_lines(text.rstrip("\n"))
    return elide_middle(safe, MAX_TRACEBACK_CHARACTERS)


class _Writer:
    """Writes exceptions, as many as `MAX_EXCEPTIONS`, each once."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self.has_frames = False

    def write(self, fault: BaseException) -> Iterator[str]:
        """The lines of an exception with what led to it."""
        for each, connection in self._chain_of(fault):
            yield from self._write_one(each)
            if connection:
                yield f"\n{connection}\n\n"

    def _chain_of(self, fault: BaseException) -> list[tuple[BaseException, str]]:
        """The exceptions that led to one, the first to be raised first, and how each goes on."""
        chain: list[tuple[BaseException, str]] = []
        current, connection = fault, ""
        while len(self._seen) < MAX_EXCEPTIONS and id(current) not in self._seen:
            self._seen.add(id(current))
            chain.append((current, connection))
            if current.__cause__ is not None:
                current, connection = current.__cause__, _CAUSED
            elif current.__context__ is not None and not current.__suppress_context__:
                current, connection = current.__context__, _HANDLING
            else:
                break
        chain.reverse()
        return chain

    def _write_one(self, fault: BaseException) -> Iterator[str]:
        if isinstance(fault, HandlerFailed) and fault.traceback is not None:
            self.has_frames = True
            yield f"{fault.traceback}\n"
            return
        frames = _user_frames(fault.__traceback__)
        if frames:
            self.has_frames = True
            yield "Traceback (most recent call last):\n"
            yield from _fold(frames)
        yield from _last_lines(fault)
        parts = parts_of(fault)
        for number, part in enumerate(parts, 1):
            if len(self._seen) >= MAX_EXCEPTIONS:
                yield f"  and {len(parts) - number + 1} more\n"
                return
            yield f"  --- {number} of {len(parts)} ---\n"
            text = "".join(self.write(part))
            yield from (f"    {line}\n" for line in text.splitlines())


def _last_lines(fault: BaseException) -> Iterator[str]:
    """The type and text of an exception, and its notes."""
    if isinstance(fault, SyntaxError):
        # Python tells the file, the line and the column.
        lines = traceback.format_exception_only(type(fault), fault)
        yield elide_middle("".join(lines), _MAX_MESSAGE_CHARACTERS)
        return
    yield elide_middle(describe_fault(fault), _MAX_MESSAGE_CHARACTERS) + "\n"
    notes: object = getattr(fault, "__notes__", None)
    if isinstance(notes, list):
        told = cast("list[object]", notes)[:MAX_EXCEPTIONS]
        text = "\n".join(str(note) for note in told)
        yield elide_middle(text, _MAX_MESSAGE_CHARACTERS) + "\n"


def _user_frames(trace: TracebackType | None) -> list[_Frame]:
    """The frames of a traceback without those that call the user's functions.

    A user's function may itself be called by another one, such as an overridden method. Frames
    after the user's last function are what it called, and stay.
    """
    frames: list[tuple[FrameType, int]] = []
    called: list[tuple[FrameType, int]] = []
    while trace is not None:
        frame = trace.tb_frame
        if not frame.f_code.co_filename.startswith(_CALLERS):
            called.clear()
            frames.append((frame, trace.tb_lineno))
        elif frames:
            called.append((frame, trace.tb_lineno))
        trace = trace.tb_next
    frames += called
    if len(frames) > MAX_FRAMES:
        # Before any source is read, since a recursion has thousands.
        hidden = len(frames) - MAX_FRAMES
        half = MAX_FRAMES // 2
        return [
            *map(_read, frames[:half]),
            _Frame("", hidden, "", ""),
            *map(_read, frames[-half:]),
        ]
    return [*map(_read, frames)]


def _read(place: tuple[FrameType, int]) -> _Frame:
    frame, line = place
    code = frame.f_code
    try:
        source = linecache.getline(code.co_filename, line, frame.f_globals).strip()
    except Exception:  # noqa: BLE001 - a module's loader may raise anything
        source = ""
    return _Frame(
        code.co_filename[-_MAX_LINE_CHARACTERS:],
        line,
        getattr(code, "co_qualname", code.co_name),
        source[:_MAX_LINE_CHARACTERS],
    )


def _fold(frames: Iterable[_Frame]) -> Iterator[str]:
    """The texts of frames; consecutive equal ones are shown once, with their number."""
    last: _Frame | None = None
    times = 0
    for frame in [*frames, None]:
        if frame is not None and frame == last:
            times += 1
            continue
        if times:
            yield f"  [the previous line {times} more times]\n"
        last, times = frame, 0
        if frame is not None:
            yield frame.text() if frame.file else f"  … {frame.line:,} frames …\n"
