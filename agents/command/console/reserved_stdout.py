"""Reserves stdout for a command's own output, whatever handlers and their child processes print."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Generator
from typing import TextIO

_STDOUT, _STDERR = 1, 2

_streams: list[TextIO] = []
"""The stream of the command's own output, while stdout is reserved for it."""

_was_reserved: list[bool] = []
"""Not empty once a command has reserved stdout; see `keep_stdout_reserved`."""


def own_stdout() -> TextIO:
    """The stream for a command's own output."""
    return _streams[-1] if _streams else sys.stdout


@contextlib.contextmanager
def reserve_stdout() -> Generator[None, None, None]:
    """Send to stderr what anything but the command's own output writes to stdout.

    File descriptor 1 becomes stderr, so this also holds for child processes and for code in C.
    """
    if _streams:
        yield
        return
    _was_reserved.append(True)
    sys.stdout.flush()
    with _descriptor_1_as_stderr() as kept, _stream_to(kept, sys.stdout) as stream:
        _streams.append(stream)
        try:
            with contextlib.redirect_stdout(sys.stderr):
                yield
        finally:
            _streams.clear()


def keep_stdout_reserved() -> None:
    """Send to stderr what is printed while the process exits, if its command reserved stdout."""
    if _was_reserved:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            os.dup2(_STDERR, _STDOUT)


@contextlib.contextmanager
def _stream_to(descriptor: int | None, like: TextIO) -> Generator[TextIO, None, None]:
    """A stream to the copy of descriptor 1; or stdout itself if that writes to somewhere else."""
    if descriptor is None or _descriptor_of(like) != _STDOUT:
        yield like
        return
    # The encoding and what to do about characters that it lacks stay the same.
    stream = open(descriptor, "w", closefd=False, encoding=like.encoding, errors=like.errors)  # noqa: SIM115
    try:
        yield stream
    finally:
        # Its reader may have gone; whoever wrote has noticed.
        with contextlib.suppress(OSError):
            stream.close()


@contextlib.contextmanager
def _descriptor_1_as_stderr() -> Generator[int | None, None, None]:
    """Make descriptor 1 the same as 2. Yields a copy of the former; None if it is closed."""
    try:
        kept = os.dup(_STDOUT)
    except OSError:
        yield None
        return
    try:
        _copy_stderr_to(_STDOUT)
        yield kept
    finally:
        os.dup2(kept, _STDOUT)
        os.close(kept)


def _copy_stderr_to(descriptor: int) -> None:
    try:
        os.dup2(_STDERR, descriptor)
    except OSError:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, descriptor)
        os.close(nothing)


def _descriptor_of(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError, AttributeError):
        return None
