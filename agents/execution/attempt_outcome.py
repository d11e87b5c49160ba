"""Classifies what a handler raised: a cancellation, a signal to the program, or a failure."""

from __future__ import annotations

import asyncio
import concurrent.futures
import dis
import functools
import signal
import threading
import traceback
from collections.abc import Iterator
from types import CodeType
from typing import Any, cast

from ..runtime.error_text import HandlerFailed, describe_fault, parts_of
from ..runtime.error_traceback import format_traceback

_RAISES = frozenset({"RAISE_VARARGS", "RERAISE"})
_AWAITS = frozenset({"SEND", "YIELD_FROM", "YIELD_VALUE", "JUMP_BACKWARD_NO_INTERRUPT"})
"""Instructions that raise an exception or await; Python runs no signal handler there."""

_AFTER_YIELD_FROM = 2

_MAX_EXAMINED = 1_000


def describe_stray_cancellation(fault: BaseException) -> str:
    """Why an attempt failed that neither the manager nor the worker has cancelled."""
    return (
        f"{describe_fault(fault)}: it came from the handler itself or from elsewhere in its "
        "process; neither the manager nor the worker cancelled the task"
    )


def is_cancellation(fault: BaseException) -> bool:
    """Whether an exception is asyncio's CancelledError, or a group of only these."""
    parts = parts_of(fault)
    return isinstance(fault, asyncio.CancelledError) or (
        bool(parts) and all(isinstance(each, asyncio.CancelledError) for each in parts)
    )


def as_ordinary(fault: BaseException) -> Exception:
    """The exception itself, or one with the same text if Python gives the exception a meaning.

    A future can't hold a StopIteration, a coroutine can't raise one, and a CancelledError, a
    KeyboardInterrupt or a SystemExit would end more than the attempt.
    """
    has_other_meaning = isinstance(
        fault, StopIteration | StopAsyncIteration | concurrent.futures.CancelledError
    )
    if isinstance(fault, Exception) and not has_other_meaning:
        return fault
    return HandlerFailed(describe_fault(fault), format_traceback(fault))


def is_from_signal(fault: BaseException) -> bool:
    """Whether an exception is, contains or followed one that a signal handler raised.

    Ctrl-C raises a KeyboardInterrupt, and many programs call `sys.exit` in their SIGTERM handler;
    both interrupt whatever the main thread runs. Ordinary code may raise the same exceptions, which
    is an ordinary failure. The difference is where the exception was raised: in a signal handler,
    or, since Python's own SIGINT handler leaves no frame, at an instruction that raises nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        return False
    ends = [each for each in _related_to(fault) if isinstance(each, KeyboardInterrupt | SystemExit)]
    if not ends:
        return False
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    codes = {code for each in handlers if (code := _code_of(each)) is not None}
    on_sigint = signal.getsignal(signal.SIGINT)
    leaves_no_frame = callable(on_sigint) and _code_of(on_sigint) is None
    return any(
        any(frame.f_code in codes for frame, _ in traceback.walk_tb(each.__traceback__))
        or (leaves_no_frame and isinstance(each, KeyboardInterrupt) and _was_raised_by_none(each))
        for each in ends
    )


def is_garbage_collected(own_task: asyncio.Task[Any] | None) -> bool:
    """Whether the garbage collector closes this unfinished coroutine, since its loop is gone."""
    try:
        return asyncio.current_task() is not own_task
    except RuntimeError:
        return True


def describe_end(fault: BaseException | None) -> str:
    """Why an attempt ended without a result."""
    if fault is None:
        return "failed: no result"
    is_stray = is_cancellation(fault)
    return describe_stray_cancellation(fault) if is_stray else describe_fault(fault)


def _was_raised_by_none(interrupt: KeyboardInterrupt) -> bool:
    """Whether an exception appeared at an instruction that raises nothing."""
    innermost = interrupt.__traceback__
    while innermost is not None and innermost.tb_next is not None:
        innermost = innermost.tb_next
    if innermost is None:
        return False
    code, at = innermost.tb_frame.f_code.co_code, innermost.tb_lasti
    if not 0 <= at < len(code) - 1:
        # Compiled extensions have frames without bytecode.
        return True
    operation, argument = dis.opname[code[at]], code[at + 1]
    is_resumed = operation == "RESUME" and argument & 3 >= _AFTER_YIELD_FROM
    return operation not in _RAISES | _AWAITS and not is_resumed


def _code_of(function: object) -> CodeType | None:
    """The code of a Python function, even inside a partial; None for a function written in C."""
    while isinstance(function, functools.partial):
        function = cast("functools.partial[object]", function).func
    code = getattr(function, "__code__", None)
    return code if isinstance(code, CodeType) else None


def _related_to(fault: BaseException) -> Iterator[BaseException]:
    """The exception, the parts of groups, and the causes and contexts of each."""
    seen: set[int] = set()
    to_look_at: list[BaseException | None] = [fault]
    while to_look_at and len(seen) < _MAX_EXAMINED:
        each = to_look_at.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        to_look_at += [each.__context__, each.__cause__, *parts_of(each)]
