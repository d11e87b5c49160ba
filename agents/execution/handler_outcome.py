"""What a plain handler returned or raised, as a value that any executor can return.

The executor's future can't carry exceptions reliably: it can't hold a StopIteration, it takes a
CancelledError for its own, and an exception that can't be unpickled breaks a process pool.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeAlias

from ...messages import Payload, Task, TaskResult
from ...messages.plain import is_plain
from ...messages.plain_data import to_plain
from ..runtime.error_text import HandlerFailed, describe_fault
from ..runtime.error_traceback import format_traceback
from .attempt_outcome import as_ordinary, is_from_signal
from .handler_requests import make_request, request_in


class Returned(NamedTuple):
    """What a handler returned."""

    output: Payload


class Raised(NamedTuple):
    """What a handler raised in this process."""

    fault: BaseException


class RaisedElsewhere(NamedTuple):
    """What a handler raised in another process, as text, since its class may be missing here."""

    description: str
    traceback: str | None = None


class RequestedElsewhere(NamedTuple):
    """What a handler in another process asked for: the name of its exception, and its arguments."""

    name: str
    reason: str
    after_s: float = 0.0


Outcome: TypeAlias = Returned | Raised | RaisedElsewhere | RequestedElsewhere


def do_here(function: Callable[..., Payload], *arguments: object) -> Returned | Raised:
    """Call a handler in this process; only what Ctrl-C raises propagates.

    Args:
        function: the handler.
        arguments: its arguments.
    """
    try:
        return Returned(function(*arguments))
    except BaseException as fault:
        if is_from_signal(fault):
            raise
        return Raised(fault)


def do_elsewhere(
    function: Callable[[Task], Payload], task: Task, call_id: str
) -> Returned | RaisedElsewhere | RequestedElsewhere:
    """Call a handler in another process or on another machine; no exception propagates.

    Args:
        function: the handler.
        task: its argument.
        call_id: distinguishes this call from all others.
    """
    del call_id
    try:
        output = function(task)
        if inspect.isawaitable(output):
            # A wrapper or a lambda around an async function.
            output = asyncio.run(_wait_for(output))
        if not (is_plain(output) or isinstance(output, TaskResult)):
            # Here, since the classes of a result may be missing in the worker's process.
            output = to_plain(output, "output")
    except BaseException as fault:  # noqa: BLE001 - returned as a value
        request = request_in(fault)
        if request is not None:
            return RequestedElsewhere(request.name, request.reason, request.after_s)
        return RaisedElsewhere(describe_fault(fault), format_traceback(fault))
    return Returned(output)


async def _wait_for(output: Awaitable[Payload]) -> Payload:
    return await output


def output_of(outcome: Outcome) -> Payload:
    """What a handler returned.

    Raises:
        HandlerFailed: the handler raised in another process; the text says what.
        HandlerRequest: the handler declined its task, wants it later, or gave it up.
        Exception: what the handler raised in this process.
    """
    match outcome:
        case Returned(output):
            return output
        case RequestedElsewhere(name, reason, after_s):
            raise make_request(name, reason, after_s)
        case Raised(fault):
            raise request_in(fault) or as_ordinary(fault)
        case RaisedElsewhere(description, traceback):
            raise HandlerFailed(description, traceback)
