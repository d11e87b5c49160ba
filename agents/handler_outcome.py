"""What a plain handler returned or raised, as a value that any executor can carry home.

An executor's future is no place for it: a future can't hold a StopIteration, it takes a
CancelledError for its own, and what can't be unpickled at home breaks a pool of processes.
"""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from ..messages import EncodeError, Payload, Task
from ..messages.portability import explain_unportable
from .attempt_ending import as_ordinary, is_from_signal
from .fault_text import HandlerFailed, describe_fault

_LARGEST_FAULT_BYTES = 1024 * 1024


class Returned(NamedTuple):
    """What a handler returned."""

    output: Payload


class Raised(NamedTuple):
    """What a handler raised in this process."""

    fault: BaseException


class RaisedElsewhere(NamedTuple):
    """What a handler raised in another process.

    Args:
        told: the exception as text.
        pickled: the exception itself; b"" if that can't be had.
    """

    told: str
    pickled: bytes


Outcome: TypeAlias = Returned | Raised | RaisedElsewhere


def do_here(function: Callable[..., Payload], *arguments: object) -> Returned | Raised:
    """Call a handler in this process; only what Ctrl-C raises goes through.

    Args:
        function: the handler.
        arguments: what it takes.
    """
    try:
        return Returned(function(*arguments))
    except BaseException as fault:
        if is_from_signal(fault):
            raise
        return Raised(fault)


def do_elsewhere(
    function: Callable[[Task], Payload], task: Task, call_id: str
) -> Returned | RaisedElsewhere:
    """Call a handler in another process or on another machine; nothing goes through.

    Args:
        function: the handler.
        task: what it takes.
        call_id: tells this call from all others.
    """
    del call_id
    try:
        output = function(task)
        problem = explain_unportable({"output": output})
    except BaseException as fault:  # noqa: BLE001 - carried home
        return RaisedElsewhere(describe_fault(fault), _pickle(as_ordinary(fault)))
    if problem is None:
        return Returned(output)
    return RaisedElsewhere(describe_fault(EncodeError(problem)), b"")


def output_of(outcome: Outcome) -> Payload:
    """What a handler returned.

    Raises:
        HandlerFailed: it raised what can't be raised here; says what.
        Exception: it raised this.
    """
    match outcome:
        case Returned(output):
            return output
        case Raised(fault):
            raise as_ordinary(fault)
        case RaisedElsewhere(told, pickled):
            raise _unpickle(pickled) or HandlerFailed(told)


def _pickle(fault: Exception) -> bytes:
    pickled = b""
    with contextlib.suppress(BaseException):
        pickled = pickle.dumps(fault)
    return pickled if len(pickled) <= _LARGEST_FAULT_BYTES else b""


def _unpickle(pickled: bytes) -> Exception | None:
    fault: object = None
    # Its class may want other arguments than it keeps, or do anything else.
    with contextlib.suppress(BaseException):
        # It comes by the executor, which unpickles whatever comes.
        fault = pickle.loads(pickled)  # noqa: S301
    return fault if isinstance(fault, Exception) else None
