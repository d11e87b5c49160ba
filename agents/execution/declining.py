"""The exception with which a handler declines its task."""

from __future__ import annotations

from .attempt_outcome import parts_of

MAX_REASON_CHARACTERS = 1_000


class TaskDeclined(BaseException):
    """Raised by a handler to decline its task: another worker gets it, and no attempt is used.

    `TaskContext.decline` raises it. A handler without a context, as in a process, may raise it
    itself. It is no `Exception`, so that an `except Exception` on the way does not catch it.

    Args:
        reason: why this worker should not have the task, such as "needs a vision model".
    """

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = str(reason)[:MAX_REASON_CHARACTERS].strip() or "no reason given"


def declined_reason(fault: BaseException) -> str | None:
    """Why a task was declined; None if an exception, or a part of its group, is something else."""
    if isinstance(fault, TaskDeclined):
        return fault.reason
    reasons = [declined_reason(each) for each in parts_of(fault)]
    if not reasons or None in reasons:
        return None
    return reasons[0]
