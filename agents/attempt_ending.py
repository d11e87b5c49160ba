"""How an attempt at a task ended, judged by what its handler raised."""

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
from typing import cast

from .fault_text import HandlerFailed, describe_fault

_RAISES = frozenset({"RAISE_VARARGS", "RERAISE"})
_AWAITS = frozenset({"SEND", "YIELD_FROM", "YIELD_VALUE", "JUMP_BACKWARD_NO_INTERRUPT"})
"""Where code stands that raises an exception, or awaits one; Python handles no signal there."""

_AFTER_YIELD_FROM = 2

_MAX_EXAMINED = 1_000


def describe_stray_cancellation(fault: BaseException) -> str:
    """Why an attempt failed that was cancelled by nobody who may."""
    return (
        f"{describe_fault(fault)}: it came from the handler itself or from elsewhere in its "
        "process; neither the manager nor the worker cancelled the task"
    )


def is_cancellation(fault: BaseException) -> bool:
    """Whether an exception is asyncio's CancelledError, or a group of nothing else."""
    parts = _parts_of(fault)
    return isinstance(fault, asyncio.CancelledError) or (
        bool(parts) and all(isinstance(each, asyncio.CancelledError) for each in parts)
    )


def as_ordinary(fault: BaseException) -> Exception:
    """The exception itself, or one of the same text if the interpreter gives it another meaning.

    A future can't hold a StopIteration, a coroutine can't raise one, and a CancelledError, a
    KeyboardInterrupt or a SystemExit would be taken for something that happened to the program.
    """
    has_other_meaning = isinstance(
        fault, StopIteration | StopAsyncIteration | concurrent.futures.CancelledError
    )
    if isinstance(fault, Exception) and not has_other_meaning:
        return fault
    return HandlerFailed(describe_fault(fault))


def is_from_signal(fault: BaseException) -> bool:
    """Whether an exception is, holds or followed a KeyboardInterrupt that SIGINT caused.

    Code may raise a KeyboardInterrupt as well. That one is an ordinary failure. The difference is
    where it was raised: by the handler of the signal, or, as Python's own handler leaves no frame,
    where nothing raises.
    """
    if threading.current_thread() is not threading.main_thread():
        return False
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler):
        return False
    code = _code_of(handler)
    return any(
        isinstance(each, KeyboardInterrupt) and _was_raised_by(code, each)
        for each in _related_to(fault)
    )


def _was_raised_by(handler: CodeType | None, interrupt: KeyboardInterrupt) -> bool:
    frames = list(traceback.walk_tb(interrupt.__traceback__))
    if handler is not None:
        return any(frame.f_code is handler for frame, _ in frames)
    innermost = interrupt.__traceback__
    while innermost is not None and innermost.tb_next is not None:
        innermost = innermost.tb_next
    if innermost is None:
        return False
    code, at = innermost.tb_frame.f_code.co_code, innermost.tb_lasti
    if not 0 <= at < len(code) - 1:
        # Compiled extensions have frames without code.
        return True
    operation, argument = dis.opname[code[at]], code[at + 1]
    is_resumed = operation == "RESUME" and argument & 3 >= _AFTER_YIELD_FROM
    return operation not in _RAISES | _AWAITS and not is_resumed


def _code_of(function: object) -> CodeType | None:
    """The code of a Python function, whatever it is wrapped in; None for one written in C."""
    while isinstance(function, functools.partial):
        function = cast("functools.partial[object]", function).func
    code = getattr(function, "__code__", None)
    return code if isinstance(code, CodeType) else None


def _related_to(fault: BaseException) -> Iterator[BaseException]:
    """The exception, its parts, and what led to each."""
    seen: set[int] = set()
    to_look_at: list[BaseException | None] = [fault]
    while to_look_at and len(seen) < _MAX_EXAMINED:
        each = to_look_at.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        to_look_at += [each.__context__, each.__cause__, *_parts_of(each)]


def _parts_of(fault: BaseException) -> tuple[BaseException, ...]:
    # Groups came with Python 3.11; before, they are a library's.
    parts = getattr(fault, "exceptions", None) if "Group" in type(fault).__name__ else None
    if not isinstance(parts, tuple):
        return ()
    return tuple(
        each for each in cast("tuple[object, ...]", parts) if isinstance(each, BaseException)
    )
