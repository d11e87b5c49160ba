"""Makes the result of an attempt from what its code returned and broadcast."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from ...messages import Payload, TaskAssignment, TaskResult
from ...messages.wording import show

if TYPE_CHECKING:
    from .attempt_state import AttemptState


class ReportedAttempt(Protocol):
    """What a context knows of its attempt that belongs into the result."""

    @property
    def has_report(self) -> bool:
        """Whether the handler has reported a cost, a usage or a grade."""
        ...

    @property
    def suspended_s(self) -> float:
        """For how long the attempt has waited without a slot, in seconds."""
        ...

    def complete(self, result: TaskResult) -> TaskResult:
        """The result with the cost, the usage and the grade."""
        ...


_TICKS_PER_S = 2**20

# What `TaskResult(...)` calls.
_validate_result: Callable[[dict[str, Payload]], TaskResult] = (
    TaskResult.__pydantic_validator__.validate_python
)


def result_of(
    assignment: TaskAssignment,
    *,
    success: bool,
    output: Payload = None,
    error: str | None = None,
    took_s: float = 0.0,
) -> TaskResult:
    """The result of an attempt.

    Args:
        assignment: the assignment.
        success: whether the attempt succeeded.
        output: what the handler returned.
        error: why it failed; ignored if it succeeded.
        took_s: how long it took, in seconds; 0 if that was not measured.
    """
    fields: dict[str, Payload] = {
        "task_id": assignment.task.id,
        "worker": assignment.worker,
        "success": success,
        "execution_time": in_ticks(took_s),
    }
    if not success:
        fields["error_message"] = error
    attempt = assignment.attempt
    if attempt != 1:
        fields["attempt"] = attempt
    if output is not None:
        fields["output"] = output
    return _validate_result(fields)


def judge_output(
    assignment: TaskAssignment, attempt: AttemptState | None, output: Payload, took_s: float
) -> TaskResult:
    """The result of an attempt whose handler returned an output.

    Args:
        assignment: the assignment.
        attempt: what the handler broadcast; None if that is unknown.
        output: what it returned; a `TaskResult` is taken as it is.
        took_s: how long it took, in seconds.
    """
    broadcast = None if attempt is None else attempt.broadcast
    if broadcast is not None and not broadcast.success:
        return broadcast
    if isinstance(output, TaskResult):
        return output
    if broadcast is not None and output is None:
        return broadcast
    return result_of(assignment, success=True, output=output, took_s=took_s)


def judge_outcome(
    attempt: AttemptState, outcome: object, *, method: str, may_be_output: bool
) -> TaskResult:
    """The result of an attempt that a subclass's method performed.

    Args:
        attempt: what the method broadcast.
        outcome: what it returned.
        method: its name.
        may_be_output: whether any other return value is the task's output.
    """
    assignment, broadcast = attempt.assignment, attempt.broadcast
    if broadcast is not None and not broadcast.success:
        return broadcast
    if isinstance(outcome, TaskResult):
        return outcome
    if isinstance(outcome, bool):
        return result_of(assignment, success=outcome, error="failed: it said so")
    if may_be_output and outcome is not None:
        return result_of(assignment, success=True, output=outcome)
    result = broadcast or (attempt.default if outcome is None else None)
    if result is not None:
        return result
    if may_be_output:
        return result_of(assignment, success=True)
    error = (
        f"no result: {method} returned {show(outcome)} and broadcast no result of task "
        f"{show(assignment.task.id)}; it must return a TaskResult or a bool, or broadcast a "
        "TaskResult"
    )
    if attempt.sent_bytes:
        error += ". The bytes that it broadcast are no pickle of a muster.messages.TaskResult of it"
    return result_of(assignment, success=False, error=error)


def failure(reason: str, traceback: str | None = None) -> TaskResult:
    """The outcome of an attempt that failed.

    Args:
        reason: why.
        traceback: the traceback of what was raised, as text; None if there is none.
    """
    return TaskResult(
        task_id=1, worker="", success=False, error_message=reason, error_traceback=traceback
    )


def in_ticks(seconds: float) -> float:
    """Round a duration to 2**-20 s: with so few digits it compresses well.

    Args:
        seconds: the duration; below 0 counts as 0.
    """
    return round(seconds * _TICKS_PER_S) / _TICKS_PER_S if seconds > 0 else 0.0


def completed(outcome: object, context: ReportedAttempt) -> object:
    """A result with what its handler has reported, and without the time in which it waited.

    Args:
        outcome: the outcome of an attempt; anything but a result stays as it is.
        context: the attempt's context.
    """
    if context.has_report and isinstance(outcome, TaskResult):
        outcome = context.complete(outcome)
    suspended_s = context.suspended_s
    if suspended_s and isinstance(outcome, TaskResult) and outcome.execution_time:
        worked_s = in_ticks(max(outcome.execution_time - suspended_s, 0.0))
        outcome = outcome.model_copy(update={"execution_time": worked_s})
    return outcome
