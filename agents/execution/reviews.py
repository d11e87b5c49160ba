"""Reviews: the verdict of a function that reviews the result of another worker."""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, cast

from ...messages import InvalidInput, Payload, Rejected, Task, TaskAssignment, TaskResult
from ...messages.wording import show
from .outcome import result_of

__all__ = ["Rejected", "Review", "ReviewCall", "Reviewer", "judge_verdict", "result_of_review"]

MAX_REASON_CHARACTERS = 1_000


class Review(NamedTuple):
    """The verdict of a reviewer.

    Args:
        grade: 0 to 1; below 0.5 rejects the result. True is 1, False is 0, and None accepts it
            without a grade.
        reason: why, as text for people.
    """

    grade: float | None
    reason: str = ""


Reviewer: TypeAlias = Callable[..., "Review | float | None | Awaitable[Review | float | None]"]
"""Takes a task, a result of it and, if it has a third parameter, the context."""


@dataclass(frozen=True, slots=True)
class ReviewCall:
    """A reviewer with the result that it reviews: a function of the task, as executors take it.

    Args:
        function: the reviewer.
        result: the result.
    """

    function: Reviewer
    result: TaskResult

    def __call__(self, task: Task, *context: object) -> Payload:
        """Review the result. Returns the verdict, or an awaitable of it."""
        try:
            verdict = self.function(task, self.result, *context)
        except Rejected as rejection:
            # As a value, since an exception may not survive the way from another process.
            verdict = Review(0.0, str(rejection))
        return tuple(verdict) if isinstance(verdict, Review) else verdict


def judge_verdict(task_type: str, verdict: object) -> Review:
    """What a reviewer returned, as a grade and a reason.

    Args:
        task_type: the type of the task, for the error.
        verdict: what the reviewer returned.

    Raises:
        InvalidInput: it is no verdict, or the grade is out of range.
    """
    grade, reason = _split(verdict)
    if grade is None:
        return Review(None, reason[:MAX_REASON_CHARACTERS])
    if isinstance(grade, bool | int | float) and not math.isnan(grade) and 0 <= grade <= 1:
        return Review(float(grade), reason[:MAX_REASON_CHARACTERS])
    raise InvalidInput(
        f"the reviewer for {task_type!r} returned {show(verdict)}; it must return a grade from 0 "
        "to 1, a bool, None, or a Review(grade, reason)"
    )


def _split(verdict: object) -> tuple[object, str]:
    """The grade and the reason of a verdict; "" if it has no reason."""
    if not isinstance(verdict, tuple):
        return verdict, ""
    match cast("tuple[object, ...]", verdict):
        case (grade, str() as reason):
            return grade, reason
        case other:
            return other, ""


async def result_of_review(
    assignment: TaskAssignment, reviewing: Awaitable[object], now: Callable[[], float]
) -> TaskResult:
    """Wait for a review. Returns its result: `quality` is the grade and `output` the reason.

    Args:
        assignment: the assignment of the review.
        reviewing: what a reviewer returns once it is awaited.
        now: the time in seconds.

    Raises:
        InvalidInput: the reviewer returned no verdict, or a grade out of range.
        Exception: what the reviewer raised.
    """
    started_at = now()
    try:
        verdict = await reviewing
        if inspect.isawaitable(verdict):
            verdict = await verdict
    except Rejected as rejection:
        verdict = Review(0.0, str(rejection))
    grade, reason = judge_verdict(assignment.task.type, verdict)
    result = result_of(
        assignment, success=True, output=reason or None, took_s=max(now() - started_at, 0.0)
    )
    return result.model_copy(update={"quality": grade})
