"""Lets new limits count what had begun before, of a restored run or under former limits."""

from __future__ import annotations

from collections.abc import Iterable

from ..matching.limiter import Begin
from ..matching.task_queue import TaskQueue
from ..model.records import Attempt, AttemptOutcome, TaskRecord
from .context import BoardContext

_UNCONFIRMED = frozenset(
    {AttemptOutcome.CANCELLED, AttemptOutcome.TIMED_OUT, AttemptOutcome.OVERTAKEN}
)


def count_begun(
    queue: TaskQueue, records: Iterable[TaskRecord], context: BoardContext, *, is_restored: bool
) -> None:
    """Let the limits of a queue count what has begun, of a restored run or under former limits.

    Args:
        queue: the queue; its limits have just been set.
        records: all tasks.
        context: what the parts of the board share.
        is_restored: whether the run has just been restored.
    """
    limiter = queue.limiter
    if limiter is None or not limiter.has_limits:
        return
    now = context.now
    since = now - limiter.longest_period_s
    begins = [*context.forgotten_begins.begins()]
    awaited: list[Attempt] = []
    wanting: list[Attempt] = []
    for record in records:
        task = record.task
        for attempt in record.attempts:
            key = (record.task_id, attempt.number)
            is_open = attempt.outcome is None
            is_open |= key in attempt.worker.stopping or key in attempt.worker.withdrawn
            if attempt.grant != "kept":
                wanting += [attempt] if is_open and attempt.grant == "wanted" else []
                is_open = False
            elif not is_open and _may_run_on(attempt, is_restored=is_restored):
                awaited.append(attempt)
                is_open = True
            if is_open or attempt.started_at > since:
                held = key if is_open else None
                begins.append(Begin(task.type, task.limit_key, attempt.started_at, 1, held))
    limiter.restore(begins, now)
    for attempt in awaited:
        limiter.await_worker(attempt.worker.name, (attempt.task.task_id, attempt.number))
    for attempt in sorted(wanting, key=lambda each: each.suspended_at or now):
        limiter.regain(attempt, now)


def _may_run_on(attempt: Attempt, *, is_restored: bool) -> bool:
    """Whether a worker that is awaited may not know yet that it was to stop an attempt."""
    worker = attempt.worker
    is_unconfirmed = attempt.outcome in _UNCONFIRMED and not attempt.is_reported
    return is_unconfirmed and worker.may_have_leases and (is_restored or not worker.alive)
