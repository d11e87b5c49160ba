"""The tasks that wait for others or belong to them: which may begin, and which are cancelled."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping

from ....messages import TaskId, TaskStatus
from ..model.occurrences import CancellationCause, CancellationFacts, OccurrenceKind
from ..model.records import AttemptOutcome, TaskRecord
from ..model.second_opinions import open_attempts
from .attempt_leases import AttemptLeases
from .context import BoardContext
from .task_checks import named_tasks
from .task_registry import TaskRegistry
from .transitions import Cause

_PENDING, _COMPLETED = TaskStatus.PENDING, TaskStatus.COMPLETED
_ENDED = {TaskStatus.FAILED: "failed", TaskStatus.CANCELLED: "was cancelled"}
NOT_NEEDED = "not needed: all that it depends on was completed"
"""Why a task that runs if others fail is cancelled."""


class Dependents:
    """Links tasks with those that they name, and follows what becomes of these."""

    def __init__(
        self,
        context: BoardContext,
        tasks: TaskRegistry,
        leases: AttemptLeases,
        enqueue: Callable[[TaskRecord], None],
    ) -> None:
        self._context = context
        self._tasks = tasks
        self._queue = context.queue
        self._leases = leases
        self._enqueue = enqueue

    # ------------------------------------------------------------------ linked

    def link(self, record: TaskRecord) -> CancellationFacts | None:
        """Link a new task with those that it names. Returns why it can never start, if it can't."""
        reason: CancellationFacts | None = None
        for needed in self.link_named(record):
            if needed.finished_at is not None:
                reason = reason or _upstream_facts(needed)
            else:
                _add_dependent(needed, record)
        if not record.unfinished and not self._is_needed(record):
            return CancellationFacts(CancellationCause.NOT_NEEDED, NOT_NEEDED)
        return reason

    def link_named(self, record: TaskRecord) -> list[TaskRecord]:
        """Update the counts of the tasks that a task names. Returns those that it waits for."""
        by_id, task = self._tasks.by_id, record.task
        for task_id in named_tasks(task):
            by_id[task_id].named_by += 1
        if task.on_parent_cancel is not None and task.parent_id is not None:
            _link_parent(record, by_id[task.parent_id])
        unfinished = [
            needed
            for task_id in dict.fromkeys(task.depends_on)
            if waits_for(record, needed := by_id[task_id])
        ]
        record.unfinished = len(unfinished)
        return unfinished

    def link_anew(
        self, revived: Iterable[TaskRecord], dependents: Mapping[TaskId, list[TaskRecord]]
    ) -> None:
        """Let tasks wait for those that begin anew, unless they have begun since these ended."""
        by_id = self._tasks.by_id
        changed: dict[TaskId, TaskRecord] = {}
        for record in revived:
            record.dependents = None
            if record.task.run_if != "completed":
                changed[record.task_id] = record
        for record in revived:
            for dependent in dependents.get(record.task_id, ()):
                if dependent.task.run_if == "completed":
                    _add_dependent(record, dependent)
                else:
                    changed[dependent.task_id] = dependent
        for record in changed.values():
            awaited = [by_id[each] for each in dict.fromkeys(record.task.depends_on)]
            awaited = [each for each in awaited if waits_for(record, each)]
            record.unfinished = len(awaited)
            for each in awaited:
                if record not in (each.dependents or ()):
                    _add_dependent(each, record)
            if awaited and record.status is _PENDING:
                self._queue.remove(record)

    # ------------------------------------------------------------------ settled

    def completed(self, record: TaskRecord) -> None:
        """Enqueue the dependents of a completed task that wait for no other."""
        dependents, record.dependents = record.dependents, None
        for dependent in dependents or ():
            self._has_one_less(dependent)

    def not_completed(self, record: TaskRecord) -> None:
        """Follow up on a task that failed or was cancelled.

        Cancel all tasks that can never start now, and the subtasks that are cancelled with it. It
        is iterative, because chains may be long.
        """
        settled = deque([(record, _upstream_facts(record))])
        while settled:
            upstream, facts = settled.popleft()
            dependents, upstream.dependents = upstream.dependents, None
            for dependent in dependents or ():
                if dependent.task.run_if != "completed":
                    self._has_one_less(dependent)
                elif dependent.status is _PENDING:
                    self.cancel_unbegun(dependent, facts)
                    settled.append((dependent, facts))
            for child in tuple((upstream.children or {}).values()):
                if not child.status.is_final:
                    self._cancel_child(child, upstream)
                    settled.append((child, _upstream_facts(child)))

    def withdraw(self, record: TaskRecord, outcome: AttemptOutcome, reason: str) -> None:
        """Remove a task from the queue, and stop its attempts."""
        self._queue.remove(record)
        for attempt in open_attempts(record):
            self._leases.stop(attempt, outcome, reason)

    def cancel_unbegun(self, record: TaskRecord, facts: CancellationFacts) -> None:
        """Cancel a task that can never start."""
        self._tasks.transition(record, Cause.UPSTREAM_FAILED)
        record.error_message = facts.reason
        self._context.note_task(OccurrenceKind.TASK_CANCELLED, record, facts=facts)

    def _has_one_less(self, record: TaskRecord) -> None:
        record.unfinished -= 1
        if record.status is not _PENDING:
            return
        if record.unfinished or self._is_needed(record):
            self._enqueue(record)
            return
        self.cancel_unbegun(record, CancellationFacts(CancellationCause.NOT_NEEDED, NOT_NEEDED))
        self.not_completed(record)

    def _is_needed(self, record: TaskRecord) -> bool:
        """Whether a task has to run, once those that it depends on are settled."""
        if record.task.run_if != "failed":
            return True
        by_id = self._tasks.by_id
        return any(by_id[each].status is not _COMPLETED for each in record.task.depends_on)

    def _cancel_child(self, record: TaskRecord, parent: TaskRecord) -> None:
        reason = f"its parent, task {parent.task_id}, {_ENDED[parent.status]}"
        record.error_message = f"cancelled: {reason}"
        self._tasks.transition(record, Cause.CANCELLED)
        self.withdraw(record, AttemptOutcome.CANCELLED, record.error_message)
        facts = CancellationFacts(CancellationCause.PARENT, reason)
        self._context.note_task(
            OccurrenceKind.TASK_CANCELLED, record, record.attempt, record.worker, facts
        )


def waits_for(record: TaskRecord, needed: TaskRecord) -> bool:
    """Whether a task waits for another one that it depends on, by its `run_if`.

    One that runs however others end does not wait again for those that begin anew after it began.
    """
    if record.task.run_if == "completed":
        return needed.status is not _COMPLETED
    return needed.finished_at is None and not record.current_attempts


def _add_dependent(needed: TaskRecord, dependent: TaskRecord) -> None:
    if needed.dependents is None:
        needed.dependents = [dependent]
    else:
        needed.dependents.append(dependent)


def _link_parent(record: TaskRecord, parent: TaskRecord) -> None:
    record.place = parent.sequence if parent.place is None else parent.place
    if record.task.on_parent_cancel == "cancel":
        if parent.children is None:
            parent.children = {}
        parent.children[record.task_id] = record


def _upstream_facts(record: TaskRecord) -> CancellationFacts:
    """Why the dependents of a task can never start; names the first task that was not completed."""
    cancellation = record.cancellation
    if cancellation is not None and cancellation.cause is CancellationCause.UPSTREAM:
        return cancellation
    reason = f"dependency: task {record.task_id} {record.status.value}"
    return CancellationFacts(CancellationCause.UPSTREAM, reason)
