"""The result of an attempt, made of what the code that did it returned and broadcast."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ...messages import Payload, TaskAssignment, TaskResult
from ...messages.wording import show
from .task_runner import in_ticks

if TYPE_CHECKING:
    from .attempt_state import AttemptState

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
        assignment: what was done.
        success: whether it was.
        output: what the handler returned.
        error: why it failed; heeded only if it did.
        took_s: how long it took, in seconds; 0 if nobody has measured it.
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
    """The result of an attempt that a handler did, which returned an output.

    Args:
        assignment: what was done.
        attempt: what the handler said meanwhile; None if nobody knows.
        output: what it returned; a `TaskResult` says all by itself.
        took_s: how long it took, in seconds.
    """
    told = None if attempt is None else attempt.broadcast
    if told is not None and not told.success:
        return told
    if isinstance(output, TaskResult):
        return output
    if told is not None and output is None:
        return told
    return result_of(assignment, success=True, output=output, took_s=took_s)


def judge_outcome(
    attempt: AttemptState, outcome: object, *, method: str, may_be_output: bool
) -> TaskResult:
    """The result of an attempt that a subclass's method did.

    Args:
        attempt: what the method said meanwhile.
        outcome: what it returned.
        method: its name.
        may_be_output: whether whatever else it returns is the task's output.
    """
    assignment, told = attempt.assignment, attempt.broadcast
    if told is not None and not told.success:
        return told
    if isinstance(outcome, TaskResult):
        return outcome
    if isinstance(outcome, bool):
        return result_of(assignment, success=outcome, error="failed: it said so")
    if may_be_output and outcome is not None:
        return result_of(assignment, success=True, output=outcome)
    told = told or (attempt.default if outcome is None else None)
    if told is not None:
        return told
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
