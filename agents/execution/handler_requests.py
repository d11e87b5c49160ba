"""The exceptions with which a handler says what becomes of its task: declined, later, given up."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from ...messages import InvalidInput, TaskResult, WrongCall
from ...messages.times import LONGEST_WAIT_S
from ...messages.wording import show
from .attempt_outcome import parts_of

MAX_REASON_CHARACTERS = 1_000


class HandlerRequest(BaseException):
    """The base class of the exceptions with which a handler says what becomes of its task.

    It is no `Exception`, so that an `except Exception` on the way does not catch it.

    Args:
        reason: why, as text for people; 1,000 characters at most are kept.
    """

    name: ClassVar[str]
    """The name by which a request is known in another process, whatever its subclass."""

    after_s: float = 0.0
    """How long the task waits, in seconds."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = str(reason)[:MAX_REASON_CHARACTERS].strip() or "no reason given"


class TaskDeclined(HandlerRequest):
    """Raised by a handler to decline its task: another worker gets it, and no attempt is used.

    `TaskContext.decline` raises it. A handler without a context, as in a process, may raise it
    itself.

    Args:
        reason: why this worker should not have the task, such as "needs a vision model".
    """

    name = "TaskDeclined"


class RetryLater(HandlerRequest):
    """Raised by a handler to have its task tried again later, as a server's Retry-After asks.

    The attempt counts among those of the task, but not as a failure of its worker: it says nothing
    about skill, starts no quarantine, and any worker may have the next attempt. What the handler
    asks for comes before the waits of the task's `Retry`. If no attempt is left, the task fails.

    Args:
        after_s: how long the task waits, in seconds, 0 to ten years.
        reason: why, such as "429 Too Many Requests".

    Raises:
        InvalidInput: `after_s` is not a number in this range.
    """

    name = "RetryLater"

    def __init__(self, after_s: float, reason: str = "") -> None:
        given = cast("object", after_s)
        is_number = isinstance(given, int | float) and not isinstance(given, bool)
        if not is_number or not 0 <= after_s <= LONGEST_WAIT_S:
            raise InvalidInput(
                f"after_s is {show(given)}; it must be a number of seconds from 0 to "
                f"{LONGEST_WAIT_S:,} (ten years)"
            )
        super().__init__(reason or f"after {after_s:g} s")
        self.after_s = float(after_s)
        # So that it can be pickled.
        self.args = (after_s, reason)


class GiveUp(HandlerRequest):
    """Raised by a handler to fail its task for good, even if attempts are left.

    Args:
        reason: why no attempt can succeed, such as "there is no customer 7".
    """

    name = "GiveUp"


class WrongArguments(GiveUp):
    """Raised where a typed function can't be called with a task's data, which no worker can.

    Args:
        reason: what is wrong.
    """

    name = WrongCall.__name__


class WorkInterrupted(GiveUp):
    """Raised where work was begun and may have acted, but is not known to be done.

    The task fails for good, so that nothing is done twice. It says nothing about the worker's
    skill, and starts no quarantine.

    Args:
        reason: what was interrupted, and by what.
    """

    name = "WorkInterrupted"


def request_in(fault: BaseException) -> HandlerRequest | None:
    """What a handler asked for; None if an exception, or a part of its group, is something else."""
    if isinstance(fault, HandlerRequest):
        return fault
    requests = [request_in(each) for each in parts_of(fault)]
    if not requests or None in requests:
        return None
    return requests[0]


def make_request(name: str, reason: str, after_s: float) -> HandlerRequest:
    """Make the request of a handler in another process.

    Args:
        name: the `name` of its class.
        reason: its reason.
        after_s: for `RetryLater`, how long the task waits, in seconds.
    """
    if name == RetryLater.name:
        return RetryLater(after_s, reason)
    kinds = {each.name: each for each in (TaskDeclined, GiveUp, WrongArguments, WorkInterrupted)}
    return kinds[name](reason)


def fields_of(request: HandlerRequest) -> dict[str, Any]:
    """The fields of an attempt's result that tell what its handler asked for."""
    if isinstance(request, TaskDeclined):
        return {"success": False, "error_message": request.reason, "declined": True}
    told = {"success": False, "error_message": f"{request.name}: {request.reason}"}
    if isinstance(request, RetryLater):
        return {**told, "retry_after_s": request.after_s}
    return {**told, "gives_up": True}


def outcome_of(request: HandlerRequest) -> TaskResult:
    """The outcome of an attempt whose handler asked for something, without task and worker."""
    return TaskResult(1, "", **fields_of(request))
