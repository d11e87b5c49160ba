"""Lets settled tasks begin anew, with those that were cancelled because of them."""

from __future__ import annotations

from collections import deque

from ....messages import IllegalTransition, TaskId, TaskStatus
from ..model.events import RetryRequested
from ..model.occurrences import CancellationCause, OccurrenceKind, RetryFacts
from ..model.records import TaskRecord
from ..model.story_text import describe_story
from .context import BoardContext
from .task_lifecycle import TaskLifecycle
from .task_registry import TaskRegistry
from .transitions import Cause

_RETRIABLE = frozenset({TaskStatus.FAILED, TaskStatus.CANCELLED})


class TaskRetries:
    """Puts failed and cancelled tasks back."""

    def __init__(
        self, context: BoardContext, tasks: TaskRegistry, lifecycle: TaskLifecycle
    ) -> None:
        self._context = context
        self._tasks = tasks
        self._lifecycle = lifecycle

    def retry(self, event: RetryRequested) -> None:
        """Let tasks begin anew with all their attempts; all of them, or none.

        Their dependents that were cancelled for their sake begin anew, too, unless another task
        that they depend on was not completed.

        Raises:
            UnknownTask: there is no such task.
            IllegalTransition: a task did not fail and was not cancelled, or it depends on a task
                that will never be completed.
        """
        asked = [self._tasks.find(task_id) for task_id in dict.fromkeys(event.task_ids)]
        for record in asked:
            if record.status not in _RETRIABLE:
                raise IllegalTransition(
                    f"task {record.task_id!r} is {record.status.value}; only a failed or cancelled "
                    f"task can be tried again; its story: {describe_story(record)}"
                )
        dependents = self._find_dependents()
        reasons = self._find_revived(asked, dependents, event.reason)
        for record in asked:
            hopeless = self._find_hopeless(record, reasons)
            if hopeless is not None:
                raise IllegalTransition(
                    f"task {record.task_id!r} can't be tried again, because it depends on task "
                    f"{hopeless.task_id!r}, which is {hopeless.status.value}; try that one again"
                )
        revived = sorted(
            (self._tasks.by_id[task_id] for task_id in reasons), key=lambda each: each.sequence
        )
        for record in revived:
            self._reset(record, reasons[record.task_id])
        self._lifecycle.dependents.link_anew(revived, dependents)
        for record in revived:
            self._lifecycle.watch_expiry(record)
            self._lifecycle.watch_deadline(record)
            self._lifecycle.wait_for_its_time(record)
            self._lifecycle.enqueue(record)

    def _find_dependents(self) -> dict[TaskId, list[TaskRecord]]:
        """The tasks that depend on each task; a settled task has no list of its own any more."""
        dependents: dict[TaskId, list[TaskRecord]] = {}
        for record in self._tasks.by_id.values():
            for task_id in dict.fromkeys(record.task.depends_on):
                dependents.setdefault(task_id, []).append(record)
        return dependents

    def _find_revived(
        self, asked: list[TaskRecord], dependents: dict[TaskId, list[TaskRecord]], reason: str
    ) -> dict[TaskId, str]:
        """All tasks that begin anew, each with the reason."""
        reasons = {record.task_id: reason for record in asked}
        unseen = deque(asked)
        while unseen:
            upstream = unseen.popleft()
            for record in dependents.get(upstream.task_id, ()):
                if (
                    record.task_id not in reasons
                    and record.status is TaskStatus.CANCELLED
                    and _is_cancelled_for_upstream(record)
                    and self._find_hopeless(record, reasons) is None
                ):
                    reasons[record.task_id] = f"dependency: task {upstream.task_id} begins anew"
                    unseen.append(record)
        return reasons

    def _find_hopeless(self, record: TaskRecord, revived: dict[TaskId, str]) -> TaskRecord | None:
        """A task that this one depends on and that will never be completed; None for none."""
        if record.task.run_if != "completed":
            return None
        needed = (self._tasks.by_id[task_id] for task_id in record.task.depends_on)
        return next(
            (each for each in needed if each.status in _RETRIABLE and each.task_id not in revived),
            None,
        )

    def _reset(self, record: TaskRecord, reason: str) -> None:
        facts = RetryFacts(record.status, reason)
        self._tasks.transition(record, Cause.TRIED_AGAIN)
        self._tasks.results.pop(record.task_id, None)
        record.result = None
        record.error_message = None
        record.retried_at = self._context.now
        record.former_attempts = len(record.attempts)
        record.failures = record.losses = 0
        record.questions = None
        record.failed_by = record.declined_by = frozenset()
        record.returns_to = ""
        record.progress, record.note = 0.0, ""
        self._context.note_task(OccurrenceKind.TASK_RETRIED, record, facts=facts)


def _is_cancelled_for_upstream(record: TaskRecord) -> bool:
    cancellation = record.cancellation
    return cancellation is not None and cancellation.cause is CancellationCause.UPSTREAM
