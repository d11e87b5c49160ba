"""Whether another attempt follows a failed one, after which wait, and at which worker."""

from __future__ import annotations

from ....messages import TaskResult
from ....messages.wording import show
from ..matching.eligibility import max_attempts_of
from ..model.error_kind import error_kind
from ..model.occurrences import DelayFacts, FailureCause, FailureFacts, ProgressFacts
from ..model.records import Attempt, TaskRecord
from .context import BoardContext


def may_be_repeated(attempt: Attempt) -> bool:
    """Whether another attempt may follow one that was begun, and of which nobody knows the end."""
    task = attempt.task.task
    acts = task.type in attempt.worker.at_most_once_types and not attempt.is_review
    return not acts or bool(task.max_losses)


def last_told(attempt: Attempt) -> str:
    """What an attempt had told last, for whoever wants to know what its loss means; or ""."""
    for each in reversed(attempt.task.story):
        if each.attempt == attempt.number and isinstance(each.facts, ProgressFacts):
            return each.facts.note
    return ""


def explain_no_repetition(error: str, attempt: Attempt) -> str:
    """Why no other attempt follows one of which nobody knows the end.

    Args:
        error: how it ended, as "kind: detail".
        attempt: the attempt.
    """
    return (
        f"{error}; begun, but not known to be done: {show(attempt.task.task.type)} may have acted, "
        "so it is not tried again"
    )


def may_be_retried(attempt: Attempt, facts: FailureFacts, result: TaskResult) -> bool:
    """Whether a failed attempt is of those that another may follow, if one is left."""
    record = attempt.task
    if result.gives_up and facts.cause is FailureCause.HANDLER:
        return False
    if facts.cause is FailureCause.TIMED_OUT and not may_be_repeated(attempt):
        return False
    if record.retry is None or facts.cause is FailureCause.POSTPONED:
        return True
    return record.retry.covers(facts.error)


def delay_of_retry(
    context: BoardContext, record: TaskRecord, facts: FailureFacts, result: TaskResult
) -> DelayFacts | None:
    """Until when a task waits after a failed attempt; None for no wait.

    What the handler asked for comes before what the task says.

    Args:
        context: the state that the parts of the board share.
        record: the task; the failure is counted.
        facts: why the attempt failed.
        result: its result.
    """
    told = f"retry {record.failures + 1} of {max_attempts_of(record)}"
    if facts.cause is FailureCause.POSTPONED:
        return postponement(context, result, told)
    if record.retry is None or not record.retry.wait_s:
        return None
    wait_s = record.retry.wait_after(record.failures, record.task_id)
    until = context.now + wait_s * context.rules.time_scale
    return DelayFacts(until, f"{told} after {error_kind(facts.error)}")


def postponement(context: BoardContext, result: TaskResult, told: str) -> DelayFacts | None:
    """Until when a task waits because its handler asked for it; None if it did not.

    Args:
        context: the state that the parts of the board share.
        result: the result of the attempt.
        told: which attempt follows, in words.
    """
    after_s = result.retry_after_s
    if after_s is None:
        return None
    error = result.error_message or ""
    return DelayFacts(
        context.now + after_s * context.rules.time_scale, f"{told} after {error_kind(error)}"
    )


def choose_worker(attempt: Attempt) -> None:
    """Note at which worker the next attempt begins, if the task insists on the same one."""
    retry = attempt.task.retry
    if retry is not None and retry.same_worker:
        attempt.task.returns_to = attempt.worker.name


def explain_end(
    record: TaskRecord, facts: FailureFacts, result: TaskResult
) -> tuple[FailureFacts, TaskResult]:
    """Tell a handler that asked to be called later why it is not: the task has no attempt left."""
    if facts.cause is not FailureCause.POSTPONED:
        return facts, result
    error = f"{facts.error}; no attempt is left of {max_attempts_of(record)}"
    return facts._replace(error=error), result.model_copy(update={"error_message": error})
