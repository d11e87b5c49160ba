"""Adds, retries, requeues, settles and cancels tasks, and cancels their dependents."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from pydantic import ValidationError

from ....messages import IllegalTransition, InvalidTask, Task, TaskId, TaskResult, TaskStatus
from ..matching.eligibility import describe_declines
from ..matching.task_queue import TaskQueue
from ..model.duration_estimate import DurationEstimate
from ..model.events import CancelRequested, PriorityChanged, RecoveryRequested
from ..model.occurrences import (
    CancellationCause,
    CancellationFacts,
    DelayFacts,
    Facts,
    FailureCause,
    FailureFacts,
    OccurrenceKind,
    PriorityFacts,
    RequeueFacts,
)
from ..model.records import Attempt, AttemptOutcome, TaskRecord, describe_story
from ..model.second_opinions import describe_missing, lacks_votes, open_attempts
from .attempt_leases import AttemptLeases
from .context import BoardContext
from .deadlines import describe_lateness, lateness_of
from .delays import DelayEnd, earliest_of
from .expiry import describe_expiry, expiry_of
from .spending import Spending
from .task_checks import find_new, named_tasks
from .task_registry import TaskRegistry
from .timer_kinds import BoardTimers
from .transitions import Cause

# Module constants, because access to an enum member takes longer than the rest of a transition.
_PENDING = TaskStatus.PENDING
_SUCCEEDED = Cause.SUCCEEDED
_UNMATCHED = {
    FailureCause.UNMATCHED: "nobody can",
    FailureCause.DECLINED: "declined",
    FailureCause.BUDGET: "budget",
}
_TASK_ADDED, _TASK_COMPLETED = OccurrenceKind.TASK_ADDED, OccurrenceKind.TASK_COMPLETED


class TaskLifecycle:
    """Adds, changes and settles tasks.

    Args:
        context: what the parts of the board share.
        tasks: the tasks.
        queue: the task queue.
        leases: the leases of the tasks' attempts.
        timers: the timers for expiries and deadlines.
        spending: sums up what attempts cost.
    """

    def __init__(
        self,
        context: BoardContext,
        tasks: TaskRegistry,
        queue: TaskQueue,
        leases: AttemptLeases,
        timers: BoardTimers,
        *,
        spending: Spending,
    ) -> None:
        self._context = context
        self._tasks = tasks
        self._queue = queue
        self._leases = leases
        self._timers = timers
        self._spending = spending

    # ------------------------------------------------------------------ added

    def add(self, given: Sequence[Task], packed: Sequence[bytes | None] = ()) -> None:
        """Add tasks, all of them or none.

        Args:
            given: the tasks; those that the board has already are not added again.
            packed: the results of `pack_task` for the tasks; may be empty.

        Raises:
            InvalidTask: a task can't be added; its subclasses give the reason.
        """
        registry, context = self._tasks, self._context
        tasks = find_new(given, registry.by_id)
        added: list[TaskRecord] = []
        packed_by_id = dict(zip((task.id for task in given), packed, strict=False))
        for sequence, task in enumerate(tasks, registry.next_sequence):
            task_id = task.id
            record = TaskRecord(task_id, task, sequence, context.now)
            record.packed = packed_by_id.get(task_id)
            registry.by_id[task_id] = record
            added.append(record)
            context.note_task(_TASK_ADDED, record)
        registry.next_sequence += len(added)
        registry.counts[_PENDING] += len(added)
        registry.unsettled += len(added)
        doomed = [(record, reason) for record in added if (reason := self._link(record))]
        for record, reason in doomed:
            if record.status is TaskStatus.PENDING:
                self._cancel_for_upstream(record, reason)
                self._cancel_dependents(record)
        for record in added:
            if record.status is _PENDING:
                if record.task.not_before is not None:
                    self.wait_for_its_time(record)
                self.enqueue(record)
            self.watch_expiry(record)
            self.watch_deadline(record)

    def _link(self, record: TaskRecord) -> str:
        """Link a new task to its dependencies. Returns why it can never start, or ""."""
        if not record.task.depends_on and record.task.parent_id is None:
            return ""
        reason = ""
        for needed in self.link_dependencies(record):
            if needed.finished_at is not None:
                reason = reason or _upstream_reason(needed)
            elif needed.dependents is None:
                needed.dependents = [record]
            else:
                needed.dependents.append(record)
        return reason

    def link_dependencies(self, record: TaskRecord) -> list[TaskRecord]:
        """Update the counts of the tasks that a task names. Returns those that it waits for."""
        by_id = self._tasks.by_id
        for task_id in named_tasks(record.task):
            by_id[task_id].named_by += 1
        needed = [by_id[task_id] for task_id in dict.fromkeys(record.task.depends_on)]
        unfinished = [each for each in needed if each.status is not TaskStatus.COMPLETED]
        record.unfinished = len(unfinished)
        return unfinished

    def recover(self, event: RecoveryRequested) -> None:
        """Add a copy of a failed task; it avoids the workers at which the original failed."""
        failed = self._tasks.find(event.task_id)
        if failed.status is not TaskStatus.FAILED:
            raise IllegalTransition(
                f"task {failed.task_id!r} is {failed.status.value}; only a failed task can be "
                f"recovered; its story: {describe_story(failed)}"
            )
        recovery_id = self._next_recovery_id(failed.task_id)
        task = failed.task.model_copy()
        try:
            task.not_before = None
            task.id = recovery_id
            task.parent_id = failed.task_id
        except ValidationError as fault:
            raise InvalidTask(
                f"task {failed.task_id!r} can't be recovered as {recovery_id!r}: "
                f"{fault.errors()[0]['msg']}"
            ) from None
        self.add((task,))
        record = self._tasks.by_id[recovery_id]
        record.failed_by = failed.failed_by
        self._queue.requeue(record, self._context.now)

    def _next_recovery_id(self, task_id: TaskId) -> str:
        number = 1
        while f"{task_id}-recovery-{number}" in self._tasks.by_id:
            number += 1
        return f"{task_id}-recovery-{number}"

    # ------------------------------------------------------------------ changed while it waits

    def enqueue(self, record: TaskRecord) -> None:
        """Enqueue a pending task unless it has unfinished dependencies, waits or is held back."""
        if (
            not record.unfinished
            and record.wait_until is None
            and record.task_id not in self._tasks.held
        ):
            self._queue.push(record, self._context.now)
            self._check_deadline(record)

    def wait_for_its_time(self, record: TaskRecord) -> None:
        """Delay a pending task that has a `not_before` which has not come."""
        until = earliest_of(record, self._context.rules.time_scale)
        if until is not None:
            self.delay(record, until, "its not_before")

    def delay(self, record: TaskRecord, until: float, reason: str) -> None:
        """Have a task wait until a time unless that has passed; call it before it is enqueued.

        Args:
            record: a task that is pending, or lacks a vote.
            until: the time, in seconds of the board's time.
            reason: why it waits, for people.
        """
        if until > self._context.now:
            self._tasks.delay(record, until, reason)
            self._timers.set(DelayEnd(record, until))
            self._context.note_task(
                OccurrenceKind.TASK_DELAYED, record, facts=DelayFacts(until, reason)
            )

    def end_delay(self, record: TaskRecord) -> None:
        """Enqueue a task whose time has come, unless something else holds it back."""
        self._tasks.end_delay(record)
        if record.status is _PENDING:
            self.enqueue(record)
        elif lacks_votes(record):
            self._queue.push(record, self._context.now)

    def change_priority(self, event: PriorityChanged) -> None:
        """Change the priority of a pending task."""
        record = self._tasks.find(event.task_id)
        if record.status is not TaskStatus.PENDING:
            raise IllegalTransition(
                f"task {record.task_id!r} is {record.status.value}; only the priority of a pending "
                f"task can be changed (to {event.priority}); its story: {describe_story(record)}"
            )
        before = record.task.priority
        self.alter(record, "priority", event.priority)
        self._queue.requeue(record, self._context.now)
        facts = PriorityFacts(before, event.priority)
        self._context.note_task(OccurrenceKind.TASK_REPRIORITIZED, record, facts=facts)

    def alter(self, record: TaskRecord, field: str, value: float) -> None:
        """Change a field of a task in a copy, because the task object belongs to its creator."""
        task = record.task.model_copy()
        try:
            setattr(task, field, value)
        except ValidationError as fault:
            raise InvalidTask(
                f"task {record.task_id!r} can't have the {field} {value!r}: "
                f"{fault.errors()[0]['msg']}"
            ) from None
        record.task = task
        record.packed = None

    def requeue(
        self, attempt: Attempt, cause: Cause, facts: RequeueFacts, *, worker: str = ""
    ) -> None:
        """Requeue a task for a retry after its attempt has ended.

        Args:
            attempt: the attempt that ended.
            cause: the cause of the status transition.
            facts: the facts for the task's story.
            worker: the worker's name for the story; "" to leave it out.
        """
        record = attempt.task
        self._context.note_task(OccurrenceKind.TASK_REQUEUED, record, attempt.number, worker, facts)
        if record.task.votes > 1:
            self.wait_for_opinion(record, cause)
        else:
            self._tasks.transition(record, cause)
            if record.wait_until is None:
                self._queue.push(record, self._context.now)
        self.watch_expiry(record)
        self._check_deadline(record)

    def wait_for_opinion(self, record: TaskRecord, cause: Cause = Cause.TO_BE_REVIEWED) -> None:
        """Enqueue a task for its review, or for one more vote if it lacks one.

        It stays in progress while other workers vote.
        """
        self._queue.remove(record)
        if not open_attempts(record):
            self._tasks.transition(record, cause)
        if record.wait_until is None and (record.task.review or lacks_votes(record)):
            self._queue.push(record, self._context.now)

    def _withdraw(self, record: TaskRecord, outcome: AttemptOutcome, reason: str) -> None:
        """Remove a task from the queue, and stop its attempts."""
        self._queue.remove(record)
        for attempt in open_attempts(record):
            self._leases.stop(attempt, outcome, reason)

    # ------------------------------------------------------------------ settled

    def complete(self, record: TaskRecord, attempt: Attempt, result: TaskResult) -> None:
        """Complete a task, and enqueue the dependents that have no other unfinished dependency."""
        self._tasks.transition(record, _SUCCEEDED)
        record.result = result
        record.error_message = None
        record.progress = 100.0
        self._tasks.results[record.task_id] = result
        self._context.note_task(_TASK_COMPLETED, record, attempt.number, attempt.worker.name)
        dependents, record.dependents = record.dependents, None
        for dependent in dependents or ():
            dependent.unfinished -= 1
            if dependent.status is _PENDING:
                self.enqueue(dependent)

    def fail(
        self, record: TaskRecord, cause: Cause, facts: FailureFacts, result: TaskResult
    ) -> None:
        """Fail a task with a result, and cancel its dependents."""
        self._withdraw(record, AttemptOutcome.CANCELLED, facts.error)
        self._tasks.transition(record, cause)
        record.result = result
        self._tasks.results[record.task_id] = result
        self._settle(OccurrenceKind.TASK_FAILED, record, facts)

    def fail_unmatched(self) -> None:
        """Fail the tasks whose unmatched timeout has expired."""
        for record, shortfall in self._queue.take_unmatched(self._context.now):
            if record.status is not _PENDING:
                # Other workers vote. When they have ended, it may wait for one more again.
                continue
            reason = shortfall.text
            if shortfall.cause is FailureCause.DECLINED:
                reason = describe_declines(record)
            error = f"{_UNMATCHED[shortfall.cause]}{describe_missing(record)}: {reason}"
            self._tasks.transition(record, Cause.NOBODY_CAN)
            record.error_message = error
            facts = FailureFacts(shortfall.cause, error)
            self._context.note_task(OccurrenceKind.TASK_FAILED, record, facts=facts)
            self._cancel_dependents(record)

    def expire(self, record: TaskRecord) -> None:
        """Fail a task that did not begin before it expired."""
        facts = FailureFacts(FailureCause.EXPIRED, describe_expiry(record))
        self._fail_unbegun(record, Cause.EXPIRED, facts)

    def fail_late(self, record: TaskRecord) -> None:
        """Fail a waiting task that can't be completed by its deadline any more."""
        facts = FailureFacts(FailureCause.LATE, describe_lateness(record))
        self._fail_unbegun(record, Cause.LATE, facts)

    def _fail_unbegun(self, record: TaskRecord, cause: Cause, facts: FailureFacts) -> None:
        """Fail a task that no worker runs; it may have been prefetched."""
        self._withdraw(record, AttemptOutcome.NOT_BEGUN, facts.error)
        self._tasks.transition(record, cause)
        record.error_message = facts.error
        self._settle(OccurrenceKind.TASK_FAILED, record, facts)

    def watch_expiry(self, record: TaskRecord) -> None:
        """Set the timer for a task that expires."""
        expiry = expiry_of(record, self._context.rules.time_scale)
        if expiry is not None:
            self._timers.set(expiry)

    def watch_deadline(self, record: TaskRecord) -> None:
        """Set the timer for a task that fails if it is late."""
        rules = self._context.rules
        if record.task.deadline is not None and rules.on_late == "fail":
            lateness = lateness_of(record, rules.time_scale)
            if lateness is not None:
                self._timers.set(lateness)

    def _check_deadline(self, record: TaskRecord) -> None:
        """Fail a task that was just queued if it is late already; else set its timer."""
        rules = self._context.rules
        if record.task.deadline is None or rules.on_late != "fail":
            return
        lateness = lateness_of(record, rules.time_scale)
        due_at = None if lateness is None else lateness.due_at()
        if due_at is not None and due_at <= self._context.now:
            self.fail_late(record)
        else:
            self.watch_deadline(record)

    def watch_deadlines(self, duration: DurationEstimate) -> None:
        """Set the timers of waiting tasks anew, since it is known how long they take at least."""
        if self._context.rules.on_late != "fail":
            return
        for group in self._queue.groups.values():
            if group.duration is duration:
                for entry in group.current_entries():
                    self.watch_deadline(entry.record)

    def cancel(self, event: CancelRequested) -> None:
        """Cancel a task that is not settled, and its dependents."""
        record = self._tasks.find(event.task_id)
        self._tasks.transition(record, Cause.CANCELLED)
        record.error_message = f"cancelled: {event.reason}"
        self._withdraw(record, AttemptOutcome.CANCELLED, record.error_message)
        facts = CancellationFacts(CancellationCause.REQUESTED, event.reason)
        self._settle(OccurrenceKind.TASK_CANCELLED, record, facts)

    def _settle(self, what: OccurrenceKind, record: TaskRecord, facts: Facts) -> None:
        """Record why a task that was not completed is settled."""
        self._context.note_task(what, record, record.attempt, record.worker, facts)
        self._cancel_dependents(record)

    def _cancel_dependents(self, record: TaskRecord) -> None:
        """Cancel all tasks that can never start now; iterative, because chains may be long."""
        reason = _upstream_reason(record)
        settled = deque([record])
        while settled:
            upstream = settled.popleft()
            for dependent in upstream.dependents or ():
                if dependent.status is TaskStatus.PENDING:
                    self._cancel_for_upstream(dependent, reason)
                    settled.append(dependent)
            upstream.dependents = None

    def _cancel_for_upstream(self, record: TaskRecord, reason: str) -> None:
        self._tasks.transition(record, Cause.UPSTREAM_FAILED)
        record.error_message = reason
        facts = CancellationFacts(CancellationCause.UPSTREAM, reason)
        self._context.note_task(OccurrenceKind.TASK_CANCELLED, record, facts=facts)


def _upstream_reason(record: TaskRecord) -> str:
    """Why the dependents of a task can never start; names the first task that was not completed."""
    cancellation = record.cancellation
    if cancellation is not None and cancellation.cause is CancellationCause.UPSTREAM:
        return cancellation.reason
    return f"dependency: task {record.task_id} {record.status.value}"
