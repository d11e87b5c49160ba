"""Calls of functions in another process: the request, the call itself, and the reply."""

from __future__ import annotations

import asyncio
import contextlib
import io
import pickle
import sys
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, cast

from ...messages import InvalidInput
from ..runtime.error_text import HandlerFailed, describe_fault
from ..runtime.error_traceback import format_traceback
from .function_table import CallPickler, functions


class Request(NamedTuple):
    """A call that can be sent to a process.

    Args:
        content: the call, pickled.
        numbers: the numbers in the table of functions that it needs; they are held for it.
    """

    content: bytes
    numbers: tuple[int, ...]

    def release(self) -> None:
        """Let the table forget the functions."""
        functions.release(self.numbers)


class Reply(NamedTuple):
    """What a call has come to.

    Args:
        value: what the function returned.
        fault: what it raised, or None.
        error: the exception as text.
        traceback: its traceback as text, or None.
    """

    value: Any = None
    fault: BaseException | None = None
    error: str = ""
    traceback: str | None = None


def make_request(
    function: Callable[..., Any], arguments: tuple[Any, ...], keywords: Mapping[str, Any]
) -> Request:
    """Pickle a call.

    Raises:
        InvalidInput: an argument can't be pickled.
    """
    file = io.BytesIO()
    pickler = CallPickler(file, adds=True)
    try:
        pickler.dump((function, arguments, dict(keywords)))
    except Exception as fault:
        functions.release(pickler.held)
        raise InvalidInput(
            f"the call of {_name_of(function)} can't be sent to another process: "
            f"{describe_fault(fault)}; pass plain values, or use threads=… instead of workers=…"
        ) from fault
    return Request(file.getvalue(), tuple(pickler.held))


def read_reply(content: bytes) -> Reply:
    """Read the reply of a process of ours to a call."""
    pickled, error, traceback = cast("tuple[bytes, str, str | None]", pickle.loads(content))  # noqa: S301 - by ourselves
    try:
        outcome: Any = pickle.loads(pickled)  # noqa: S301 - by ourselves
    except Exception as fault:  # noqa: BLE001 - objects may raise anything
        return failed(fault, f"what it returned can't be read: {describe_fault(fault)}")
    if not error:
        return Reply(outcome)
    if not isinstance(outcome, BaseException):
        outcome = HandlerFailed(error, traceback)
    return Reply(None, outcome, error, traceback)


def failed(fault: BaseException, error: str = "") -> Reply:
    """The reply for an exception of this process."""
    return Reply(None, fault, error or describe_fault(fault), format_traceback(fault))


def call_here(
    function: Callable[..., Any], arguments: tuple[Any, ...], keywords: Mapping[str, Any]
) -> Reply:
    """Call a function in this thread; an async one in an event loop of its own."""
    try:
        value = function(*arguments, **keywords)
        if asyncio.iscoroutine(value):
            value = asyncio.run(value)
        return Reply(value)
    except BaseException as fault:  # noqa: BLE001 - also SystemExit: the process serves others
        return failed(fault)


def serve_calls(pipe: Connection) -> None:
    """In a process of ours: call the functions that arrive, until the pipe is closed."""
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        # Forked processes would all draw the same random numbers; Python's own are seeded anew.
        numpy.random.seed()
    while True:
        try:
            request = pipe.recv_bytes()
        except (EOFError, OSError):
            return
        reply = _reply(request)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        try:
            pipe.send_bytes(reply)
        except OSError:
            return


def _reply(request: bytes) -> bytes:
    try:
        function, arguments, keywords = pickle.loads(request)  # noqa: S301 - by ourselves
    except BaseException as fault:  # noqa: BLE001 - objects may raise anything
        return _pack(failed(fault))
    return _pack(call_here(function, arguments, keywords))


def _pack(reply: Reply) -> bytes:
    outcome = reply.value if reply.fault is None else reply.fault
    file = io.BytesIO()
    try:
        CallPickler(file, adds=False).dump(outcome)
        pickled = file.getvalue()
        if reply.fault is not None:
            # Many exceptions can be pickled, and not be read again.
            pickle.loads(pickled)  # noqa: S301 - made just now
    except Exception as fault:  # noqa: BLE001 - objects may raise anything
        pickled = pickle.dumps(None)
        if reply.fault is None:
            problem = TypeError(f"what it returned can't be pickled: {describe_fault(fault)}")
            reply, pickled = failed(problem), pickle.dumps(problem)
    return pickle.dumps((pickled, reply.error, reply.traceback), pickle.HIGHEST_PROTOCOL)


def _name_of(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", None) or repr(function)
