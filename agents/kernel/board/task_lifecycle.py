"""Adds, requeues, settles and cancels tasks."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

from ....messages import IllegalTransition, InvalidTask, Task, TaskId, TaskResult, TaskStatus
from ..matching.eligibility import describe_declines
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
from ..model.records import Attempt, AttemptOutcome, TaskRecord
from ..model.second_opinions import describe_missing, lacks_votes, open_attempts
from ..model.story_text import describe_story
from .attempt_leases import AttemptLeases
from .context import BoardContext
from .deadlines import Lateness, describe_lateness, lateness_of
from .delays import DelayEnd, earliest_of
from .dependents import Dependents
from .expiry import Expiry, describe_expiry, expiry_of
from .spending import Spending
from .task_checks import find_new
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
    """Adds, changes and settles tasks."""

    def __init__(
        self,
        context: BoardContext,
        tasks: TaskRegistry,
        leases: AttemptLeases,
        timers: BoardTimers,
        *,
        spending: Spending,
    ) -> None:
        self._context = context
        self._tasks = tasks
        self._queue = context.queue
        self._leases = leases
        self._timers = timers
        self._spending = spending
        self.dependents = Dependents(context, tasks, leases, self.enqueue)
        """Follows what becomes of the tasks that others wait for or belong to."""

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
        has_retries = bool(context.rules.retries) or context.rules.retry is not None
        added: list[TaskRecord] = []
        linked: list[TaskRecord] = []
        packed_by_id = {task.id: form for task, form in zip(given, packed, strict=False)}
        for sequence, task in enumerate(tasks, registry.next_sequence):
            task_id = task.id
            record = TaskRecord(task_id, task, sequence, context.now)
            record.packed = packed_by_id.get(task_id)
            if has_retries or task.retry is not None:
                record.retry = context.rules.retry_of(task)
            registry.by_id[task_id] = record
            added.append(record)
            if task.depends_on or task.parent_id is not None:
                linked.append(record)
            context.note_task(_TASK_ADDED, record)
        registry.next_sequence += len(added)
        registry.counts[_PENDING] += len(added)
        registry.unsettled += len(added)
        link = self.dependents.link
        doomed = [(record, facts) for record in linked if (facts := link(record))]
        for record, facts in doomed:
            if record.status is TaskStatus.PENDING:
                self.dependents.cancel_unbegun(record, facts)
                self.dependents.not_completed(record)
        for record in added:
            task = record.task
            if record.status is _PENDING:
                if task.not_before is not None:
                    self.wait_for_its_time(record)
                self.enqueue(record)
            # Most tasks have neither.
            if task.expires_s is not None:
                self.watch_expiry(record)
            if task.deadline is not None:
                self.watch_deadline(record)

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
            task.on_parent_cancel = None
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
            if record.task.deadline is not None:
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
        self,
        attempt: Attempt,
        cause: Cause,
        facts: RequeueFacts,
        *,
        worker: str = "",
        delay: DelayFacts | None = None,
    ) -> None:
        """Requeue a task for a retry after its attempt has ended.

        Args:
            attempt: the attempt that ended.
            cause: the cause of the status transition.
            facts: the facts for the task's story.
            worker: the worker's name for the story; "" to leave it out.
            delay: until when it waits before the next attempt; None for no wait.
        """
        record = attempt.task
        self._context.note_task(OccurrenceKind.TASK_REQUEUED, record, attempt.number, worker, facts)
        if delay is not None:
            self.delay(record, *delay)
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
            self.watch_deadline(record)

    # ------------------------------------------------------------------ settled

    def complete(self, record: TaskRecord, attempt: Attempt, result: TaskResult) -> None:
        """Complete a task, and enqueue the dependents that have no other unfinished dependency."""
        self._tasks.transition(record, _SUCCEEDED)
        record.result = result
        record.error_message = None
        record.progress = 100.0
        self._tasks.results[record.task_id] = result
        self._context.note_task(_TASK_COMPLETED, record, attempt.number, attempt.worker.name)
        if record.dependents is not None:
            self.dependents.completed(record)

    def fail(
        self, record: TaskRecord, cause: Cause, facts: FailureFacts, result: TaskResult
    ) -> None:
        """Fail a task with a result, and cancel its dependents."""
        self.dependents.withdraw(record, AttemptOutcome.CANCELLED, facts.error)
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
            self.dependents.not_completed(record)

    def give_up(self, timer: Expiry | Lateness) -> None:
        """Fail a task that has not begun in time, or can't be completed in time any more."""
        if isinstance(timer, Expiry):
            facts = FailureFacts(FailureCause.EXPIRED, describe_expiry(timer.record))
            self._fail_unbegun(timer.record, Cause.EXPIRED, facts)
        else:
            self._fail_late(timer.record)

    def _fail_late(self, record: TaskRecord) -> None:
        facts = FailureFacts(FailureCause.LATE, describe_lateness(record))
        self._fail_unbegun(record, Cause.LATE, facts)

    def _fail_unbegun(self, record: TaskRecord, cause: Cause, facts: FailureFacts) -> None:
        """Fail a task that no worker runs; it may have been prefetched."""
        self.dependents.withdraw(record, AttemptOutcome.NOT_BEGUN, facts.error)
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
            self._fail_late(record)
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
        self.dependents.withdraw(record, AttemptOutcome.CANCELLED, record.error_message)
        facts = CancellationFacts(CancellationCause.REQUESTED, event.reason)
        self._settle(OccurrenceKind.TASK_CANCELLED, record, facts)

    def _settle(self, what: OccurrenceKind, record: TaskRecord, facts: Facts) -> None:
        """Record why a task that was not completed is settled."""
        self._context.note_task(what, record, record.attempt, record.worker, facts)
        self.dependents.not_completed(record)
