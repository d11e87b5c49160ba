"""The board: the manager as a pure machine, events in, instructions out.

Everything that changes a task's status is in this file, and every change passes `TRANSITIONS`.
There is no clock here, no loop and no network: whoever drives the board tells it what happened and
when, does what it says, and wakes it at `next_alarm`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import TypeVar, cast

from pydantic import ValidationError

from ....messages import IllegalTransition, InvalidTask, Task, TaskId, TaskResult, TaskStatus
from ....messages.task import MAX_ATTEMPTS
from ..matching.policies import MatchingPolicy, describe_shortfall, find_obstacle
from ..matching.task_queue import Match, TaskGroup
from ..model.events import (
    AssigningBegun,
    CancelRequested,
    ComeToRest,
    EndRun,
    Event,
    Instruction,
    ListeningInterrupted,
    ListeningStarted,
    Occurrence,
    OccurrenceKind,
    PriorityChanged,
    ProgressReported,
    RecoveryRequested,
    RestConfirmed,
    ResultReceived,
    ResultsReceived,
    RetirementRequested,
    SendAssignment,
    SendCancel,
    StopRequested,
    TasksAdded,
    TasksForgotten,
    TasksGivenBack,
    TasksHandedOut,
    TimePassed,
    WorkerHeard,
    WorkerId,
    WorkerJoined,
    WorkerLeft,
)
from ..model.leases import failure_of, limit_attempt
from ..model.records import Attempt, AttemptOutcome, Rules, TaskRecord, WorkerRecord, describe_story
from .expiry import Expiry, describe_expiry
from .forgetting import find_forgettable
from .held_slots import FIRST_TOLD_AFTER_S, TOLD_EVERY_S, HeldSlotWarning, held_slot_of
from .prefetch import PrefetchRecall, attempts_of
from .sameness import check_same
from .state import BoardState
from .task_checks import check_batch, named_tasks
from .worker_registry import Absence, Challenge, Quarantine, Silence, StartBarrier


class Cause(str, Enum):
    """Why a task's status changes."""

    ASSIGNED = "assigned"
    SUCCEEDED = "succeeded"
    FAILED_FOR_GOOD = "failed for good"
    TO_BE_RETRIED = "to be retried"
    WORKER_LOST = "worker lost"
    LOST_TOO_OFTEN = "lost too often"
    GIVEN_BACK = "given back"
    CANCELLED = "cancelled"
    UPSTREAM_FAILED = "upstream failed"
    NOBODY_CAN = "nobody can"
    EXPIRED = "expired"


TRANSITIONS: Mapping[tuple[TaskStatus, Cause], TaskStatus] = {
    (TaskStatus.PENDING, Cause.ASSIGNED): TaskStatus.IN_PROGRESS,
    # A success that comes late, when the task waits again, still counts.
    (TaskStatus.PENDING, Cause.SUCCEEDED): TaskStatus.COMPLETED,
    (TaskStatus.PENDING, Cause.CANCELLED): TaskStatus.CANCELLED,
    (TaskStatus.PENDING, Cause.UPSTREAM_FAILED): TaskStatus.CANCELLED,
    (TaskStatus.PENDING, Cause.NOBODY_CAN): TaskStatus.FAILED,
    (TaskStatus.PENDING, Cause.EXPIRED): TaskStatus.FAILED,
    (TaskStatus.IN_PROGRESS, Cause.SUCCEEDED): TaskStatus.COMPLETED,
    (TaskStatus.IN_PROGRESS, Cause.FAILED_FOR_GOOD): TaskStatus.FAILED,
    (TaskStatus.IN_PROGRESS, Cause.TO_BE_RETRIED): TaskStatus.PENDING,
    (TaskStatus.IN_PROGRESS, Cause.WORKER_LOST): TaskStatus.PENDING,
    (TaskStatus.IN_PROGRESS, Cause.LOST_TOO_OFTEN): TaskStatus.FAILED,
    (TaskStatus.IN_PROGRESS, Cause.GIVEN_BACK): TaskStatus.PENDING,
    (TaskStatus.IN_PROGRESS, Cause.CANCELLED): TaskStatus.CANCELLED,
    # It waits at a worker for a slot.
    (TaskStatus.IN_PROGRESS, Cause.EXPIRED): TaskStatus.FAILED,
}
"""Every legal change of a task's status. What is not here does not happen."""

# What every task needs is looked up once: to find a member in its enum takes longer than the rest
# of a transition.
_PENDING = TaskStatus.PENDING
_ASSIGNED, _SUCCEEDED = Cause.ASSIGNED, Cause.SUCCEEDED
_TASK_ADDED, _TASK_ASSIGNED = OccurrenceKind.TASK_ADDED, OccurrenceKind.TASK_ASSIGNED
_TASK_COMPLETED = OccurrenceKind.TASK_COMPLETED
_ENDED_WELL = AttemptOutcome.SUCCEEDED

_FINAL = frozenset(status for status in TaskStatus if status.is_final)
_UNCOUNTED = frozenset({AttemptOutcome.LOST, AttemptOutcome.NOT_BEGUN})
_STOPPED = frozenset({AttemptOutcome.CANCELLED, AttemptOutcome.TIMED_OUT, AttemptOutcome.OVERTAKEN})

_EventT = TypeVar("_EventT", bound=Event)


class Board(BoardState):
    """Tasks, workers and leases, as a machine that is told what happens and says what to do.

    Args:
        rules: what it goes by.
        policy: who gets which task; `best_fit` by default.
    """

    def __init__(self, rules: Rules | None = None, policy: MatchingPolicy | None = None) -> None:
        super().__init__(rules, policy)
        # Only while an event is handled.
        self._said: list[Instruction] = []
        self._slots_to_note: dict[WorkerRecord, None] | None = None
        self._reactions: dict[type[Event], Callable[[Event], None]] = {}
        self._react_to(TasksAdded, self._add_tasks)
        self._react_to(WorkerJoined, self._meet)
        self._react_to(WorkerHeard, self._hear)
        self._react_to(WorkerLeft, self._see_off)
        self._react_to(AssigningBegun, self._begin_assigning)
        self._react_to(TasksHandedOut, self._take_orders)
        self._react_to(RestConfirmed, self._leave_rest)
        self._react_to(ProgressReported, self._note_progress)
        self._react_to(ResultReceived, self._take_one_result)
        self._react_to(ResultsReceived, self._take_results)
        self._react_to(TasksGivenBack, self._take_back)
        self._react_to(CancelRequested, self._cancel)
        self._react_to(PriorityChanged, self._change_priority)
        self._react_to(TasksForgotten, self._forget)
        self._react_to(RecoveryRequested, self._recover)
        self._react_to(RetirementRequested, self._retire)
        self._react_to(ListeningStarted, self._open_doors)
        self._react_to(StopRequested, self._stop_run)
        self._react_to(ListeningInterrupted, self._excuse)
        self._react_to(TimePassed, self._let_time_pass)

    def _react_to(self, kind: type[_EventT], reaction: Callable[[_EventT], None]) -> None:
        self._reactions[kind] = cast("Callable[[Event], None]", reaction)

    # ------------------------------------------------------------------ driving it

    def handle(self, event: Event, now: float) -> list[Instruction]:
        """Take in what happened; what to do about it, in order.

        Args:
            event: what happened.
            now: when, in seconds; never less than before.

        Raises:
            InvalidTask: new tasks can't be taken; none of them is. Its subclasses say more.
            UnknownTask: there is no task to be cancelled, reprioritised or forgotten.
            UnknownName: there is no worker to be retired.
            IllegalTransition: its state does not allow that.
        """
        self._now = now
        said: list[Instruction] = []
        self._said = said
        if self.roll.opened_at is None and not self.is_suspended:
            self._open_doors(event)
        self._reactions[type(event)](event)
        if self.began_at is not None and self.ended_at is None and not self.is_suspended:
            self._hand_out()
            if not self._unsettled or self._held:
                self._look_for_rest()
            else:
                self._is_rest_told = False
        return said

    # ------------------------------------------------------------------ tasks: asked for

    def _add_tasks(self, event: TasksAdded) -> None:
        if self.has_ended and not self.is_suspended:
            raise InvalidTask("the run has ended; tasks can be added no more")
        tasks, named_again = self._sift_restored(event.tasks)
        check_batch(tasks, self._tasks)
        self._restored_ids -= named_again
        added: list[TaskRecord] = []
        packed = dict(zip((task.id for task in event.tasks), event.packed, strict=False))
        for sequence, task in enumerate(tasks, self._next_sequence):
            task_id = task.id
            record = TaskRecord(task_id, task, sequence, self._now)
            record.packed = packed.get(task_id)
            self._tasks[task_id] = record
            added.append(record)
            self._tell(_TASK_ADDED, record)
        self._next_sequence += len(added)
        self._counts[_PENDING] += len(added)
        self._unsettled += len(added)
        doomed = [(record, reason) for record in added if (reason := self._link(record))]
        for record, reason in doomed:
            if record.status is TaskStatus.PENDING:
                self._cancel_for_upstream(record, reason)
        for record in added:
            if record.status is _PENDING:
                self._enqueue(record)
            self._watch_expiry(record)

    def _enqueue(self, record: TaskRecord) -> None:
        """Let a pending task wait for a worker, unless it waits for something else."""
        if not record.unfinished and record.task_id not in self._held:
            self.queue.push(record, self._now)

    def _recover(self, event: RecoveryRequested) -> None:
        """Add a task in the place of a failed one, with what is known of who failed at that."""
        failed = self.find(event.task_id)
        if failed.status is not TaskStatus.FAILED:
            raise IllegalTransition(
                f"task {failed.task_id!r} is {failed.status.value}, and only what has failed can "
                f"be recovered; its story: {describe_story(failed)}"
            )
        task = failed.task.model_copy()
        try:
            task.id = event.recovery_id
            task.parent_id = failed.task_id
        except ValidationError as fault:
            raise InvalidTask(
                f"task {failed.task_id!r} can't be recovered as {event.recovery_id!r}: "
                f"{fault.errors()[0]['msg']}"
            ) from None
        check_batch((task,), self._tasks)
        self._add_tasks(TasksAdded((task,)))
        record = self._tasks[task.id]
        record.failed_by = failed.failed_by
        if record.place is not None:
            self.queue.remove(record.place)
            self.queue.push(record, self._now)

    def _sift_restored(self, tasks: Sequence[Task]) -> tuple[Sequence[Task], set[TaskId]]:
        """The new ones of some tasks, and the ids of those that a restored run knows.

        Whoever resumes a run names its tasks again, once.
        """
        named_again: set[TaskId] = set()
        if not self._restored_ids:
            return tasks, named_again
        new: list[Task] = []
        for task in tasks:
            if task.id in self._restored_ids and task.id not in named_again:
                check_same(self._tasks[task.id].added, task)
                named_again.add(task.id)
            else:
                new.append(task)
        return new, named_again

    def _link(self, record: TaskRecord) -> str:
        """Tie a new task to those it depends on; why it can never start, or ""."""
        reason = ""
        if not record.task.depends_on and record.task.parent_id is None:
            return reason
        for task_id in named_tasks(record.task):
            self._tasks[task_id].named_by += 1
        for task_id in dict.fromkeys(record.task.depends_on):
            needed = self._tasks[task_id]
            if needed.status is TaskStatus.COMPLETED:
                continue
            record.unfinished += 1
            if needed.finished_at is not None:
                reason = reason or _upstream_reason(needed)
            elif needed.dependents is None:
                needed.dependents = [record]
            else:
                needed.dependents.append(record)
        return reason

    def _cancel(self, event: CancelRequested) -> None:
        record = self.find(event.task_id)
        was_pending = record.status is TaskStatus.PENDING
        self._transition(record, Cause.CANCELLED)
        record.error_message = f"cancelled: {event.reason}"
        if not was_pending:
            self._stop(record.attempts[-1], AttemptOutcome.CANCELLED, record.error_message)
        elif record.place is not None:
            self.queue.remove(record.place)
        self._tell(
            OccurrenceKind.TASK_CANCELLED,
            record,
            record.attempt,
            record.worker,
            record.error_message,
        )
        self._cancel_dependents(record)

    def _change_priority(self, event: PriorityChanged) -> None:
        record = self.find(event.task_id)
        if record.status is not TaskStatus.PENDING:
            raise IllegalTransition(
                f"task {record.task_id!r} is {record.status.value} and waits no more, so its "
                f"priority can't be changed to {event.priority}; its story: "
                f"{describe_story(record)}"
            )
        before = record.task.priority
        self._alter(record, "priority", event.priority)
        if record.place is not None:
            self.queue.remove(record.place)
            self.queue.push(record, self._now)
        self._tell(
            OccurrenceKind.TASK_REPRIORITIZED, record, detail=f"from {before} to {event.priority}"
        )

    def _alter(self, record: TaskRecord, field: str, value: float) -> None:
        """Give a task another value of a field, in a copy: it belongs to whoever made it."""
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

    def _forget(self, event: TasksForgotten) -> None:
        records = find_forgettable(event.task_ids, self._tasks)
        for record in records:
            del self._tasks[record.task_id]
            self._results.pop(record.task_id, None)
            self._restored_ids.discard(record.task_id)
            self.queue.forget(record.task_id)
            self._counts[record.status] -= 1
            self._tell(OccurrenceKind.TASK_FORGOTTEN, record)
        for record in records:
            for task_id in named_tasks(record.task):
                if task_id in self._tasks:
                    self._tasks[task_id].named_by -= 1

    # ------------------------------------------------------------------ tasks: handed out

    def _begin_assigning(self, _: AssigningBegun | None = None) -> None:
        if self.has_ended:
            return
        self._release(tuple(self._held))
        if self.began_at is None:
            self.roll.is_called = True
            self.began_at = self._now
            self._said.append(Occurrence(self._now, OccurrenceKind.ASSIGNING_BEGUN))

    def _take_orders(self, event: TasksHandedOut) -> None:
        if self.has_ended:
            return
        waiting = {
            order.task_id: order
            for order in event.orders
            if self.find(order.task_id).status is TaskStatus.PENDING
        }
        for task_id, order in waiting.items():
            record = self._tasks[task_id]
            if order.timeout_s is not None and order.timeout_s != record.task.timeout:
                self._alter(record, "timeout", order.timeout_s)
            if order.worker:
                self.queue.address(record, order.worker, self._now)
        if self.began_at is None:
            self._begin_assigning()
            for record in self._tasks.values():
                if record.status is TaskStatus.PENDING and record.task_id not in waiting:
                    self._held[record.task_id] = None
                    if record.place is not None:
                        self.queue.remove(record.place)
        else:
            self._release(tuple(waiting))

    def _release(self, task_ids: Iterable[TaskId]) -> None:
        for task_id in task_ids:
            if task_id in self._held:
                del self._held[task_id]
                self._enqueue(self._tasks[task_id])

    def _look_for_rest(self) -> None:
        if not self.is_at_rest:
            self._is_rest_told = False
        elif not self._unsettled and not self.rules.confirms_end:
            self._end(None)
        elif not self._is_rest_told:
            self._is_rest_told = True
            self._said.append(ComeToRest())

    def _leave_rest(self, _: RestConfirmed) -> None:
        if self.has_ended or not self.is_at_rest:
            return
        if self._unsettled:
            self._begin_assigning()
        else:
            self._end(None)

    def _hand_out(self) -> None:
        queue = self.queue
        queue.refresh(self._now)
        if queue.pairs:
            self._hand_out_in_pairs()
            return
        while (match := queue.next_match()) is not None:
            self._assign(match)
        provided: dict[WorkerRecord, None] = {}
        for match in queue.take_ahead():
            self._assign(match, is_ahead=True)
            _, worker, _, _ = match
            provided[worker] = None
        for worker in provided:
            queue.note_load(worker)

    def _hand_out_in_pairs(self) -> None:
        has_assigned = True
        while has_assigned:
            has_assigned = False
            for match in self.queue.paired(self._now):
                self._assign(match)
                has_assigned = True

    def _assign(self, match: Match, *, is_ahead: bool = False) -> None:
        record, worker, decision, usual = match
        now, task, number = self._now, record.task, len(record.attempts) + 1
        timeout_s, deadline = limit_attempt(task, now, self.rules.time_scale)
        attempt = Attempt(number, worker, record, now, timeout_s, deadline)
        attempt.usual = usual
        self._transition(record, _ASSIGNED)
        record.attempts.append(attempt)
        record.decision = decision
        record.progress = 0.0
        record.note = ""
        if is_ahead:
            attempt.is_ahead = True
            attempt.deadline = None
            attempt.expected_s = usual.usual_s
            if self.ahead.hold(attempt, now):
                self.alarms.set(self.ahead.looking)
        else:
            worker.running[record.task_id, number] = record
            if deadline is not None:
                self.alarms.set(attempt)
            self.queue.note_load(worker)
        name = worker.name
        self._tell(_TASK_ASSIGNED, record, number, name)
        inputs = self._inputs(task) if task.depends_on else {}
        address, packed = worker.worker_id, record.packed
        self._said.append(
            SendAssignment(address, task, int(now), timeout_s, number, name, inputs, packed)
        )

    def _inputs(self, task: Task) -> dict[TaskId, object]:
        results = ((task_id, self._tasks[task_id].result) for task_id in task.depends_on)
        return {task_id: result.output for task_id, result in results if result is not None}

    def _give_up(self) -> None:
        """Fail the tasks that nobody could do for too long."""
        self.queue.refresh(self._now)
        reasons: dict[TaskGroup, str] = {}
        for place in self.queue.patience.take(self._now):
            record, bucket = place.record, place.bucket
            if bucket not in reasons:
                told = describe_shortfall(self.queue.policy, record.task, self.queue.workers)
                reasons[bucket] = f"nobody can: {told}"
            self.queue.remove(place)
            self._transition(record, Cause.NOBODY_CAN)
            record.error_message = reasons[bucket]
            self._tell(OccurrenceKind.TASK_FAILED, record, detail=record.error_message)
            self._cancel_dependents(record)

    def _expire(self, record: TaskRecord) -> None:
        """Fail a task that has not begun in time, wherever it waits."""
        if self.has_ended:
            return
        reason = describe_expiry(record)
        waits_at_worker = record.status is TaskStatus.IN_PROGRESS
        self._transition(record, Cause.EXPIRED)
        record.error_message = reason
        if waits_at_worker:
            self._stop(record.attempts[-1], AttemptOutcome.NOT_BEGUN, reason)
        elif record.place is not None:
            self.queue.remove(record.place)
        self._tell(OccurrenceKind.TASK_FAILED, record, record.attempt, record.worker, reason)
        self._cancel_dependents(record)

    # ------------------------------------------------------------------ tasks: how they went

    def _take_one_result(self, event: ResultReceived) -> None:
        present = self.attendance.hear(event.worker_id, self._now, self._said)
        self._take_result(event.result, event.worker_id, present)

    def _take_results(self, event: ResultsReceived) -> None:
        present = self.attendance.hear(event.worker_id, self._now, self._said)
        changed = self._slots_to_note = {}
        try:
            for result in event.results:
                self._take_result(result, event.worker_id, present)
        finally:
            self._slots_to_note = None
            for worker in changed:
                self._note_slots(worker)

    def _take_result(
        self, result: TaskResult, worker_id: WorkerId, present: WorkerRecord | None
    ) -> None:
        record = self._tasks.get(result.task_id)
        if record is None:
            # Not even an occurrence: whoever makes up ids could make up many.
            self._count_ignored("unknown task")
            return
        worker = present or self.members.find(worker_id)
        if worker is None:
            self._ignore("unknown worker", record, result)
            return
        number, attempts = result.attempt, record.attempts
        attempt = attempts[number - 1] if 1 <= number <= len(attempts) else None
        if attempt is None or attempt.worker is not worker or result.worker != worker.name:
            self._ignore("not this worker's attempt", record, result)
            return
        if attempt.ending is None and present is None:
            self._ignore("from a former address", record, result)
            return
        was_stopping = self._confirm_stop(worker, record.task_id, attempt.number)
        if attempt.is_reported:
            self._ignore("came twice", record, result)
            return
        attempt.is_reported = True
        if attempt.usual is not None:
            attempt.usual.learn(result.execution_time)
        if attempt.ending is None:
            if result.success:
                self._complete(record, attempt, result)
            else:
                error = result.error_message or "failed: no reason given"
                self._fail_attempt(record, attempt, AttemptOutcome.FAILED, error, result)
        elif result.success and record.finished_at is None:
            self._complete_late(record, attempt, result)
        elif result.success or not was_stopping:
            self._ignore("came too late", record, result)

    def _complete(self, record: TaskRecord, attempt: Attempt, result: TaskResult) -> None:
        worker = attempt.worker
        worker.failures_in_a_row = 0
        self._end_attempt(attempt, _ENDED_WELL)
        stats = worker.stats
        stats.completed_tasks += 1
        stats.successful_tasks += 1
        stats.total_time += result.execution_time
        self._record_success(record, attempt, result)

    def _complete_late(self, record: TaskRecord, attempt: Attempt, result: TaskResult) -> None:
        """Record a success of an attempt that was given up, since nobody was faster."""
        worker = attempt.worker
        if record.status is TaskStatus.IN_PROGRESS:
            self._stop(
                record.attempts[-1], AttemptOutcome.OVERTAKEN, f"done elsewhere: by {worker.name}"
            )
        elif record.place is not None:
            self.queue.remove(record.place)
        worker.stats.successful_tasks += 1
        worker.failures_in_a_row = 0
        self._note_slots(worker)
        if attempt.ending in _UNCOUNTED:
            # An attempt that timed out has been counted then.
            worker.stats.completed_tasks += 1
            worker.stats.total_time += result.execution_time
        self._record_success(record, attempt, result)

    def _record_success(self, record: TaskRecord, attempt: Attempt, result: TaskResult) -> None:
        self._transition(record, _SUCCEEDED)
        record.result = result
        record.error_message = None
        record.progress = 100.0
        self._results[record.task_id] = result
        self._tell(_TASK_COMPLETED, record, attempt.number, attempt.worker.name)
        dependents, record.dependents = record.dependents, None
        for dependent in dependents or ():
            dependent.unfinished -= 1
            if dependent.status is _PENDING:
                self._enqueue(dependent)

    def _fail_attempt(
        self,
        record: TaskRecord,
        attempt: Attempt,
        ending: AttemptOutcome,
        error: str,
        result: TaskResult,
    ) -> None:
        worker = attempt.worker
        if ending is AttemptOutcome.TIMED_OUT:
            self._stop(attempt, ending, error)
        else:
            self._end_attempt(attempt, ending)
        worker.stats.completed_tasks += 1
        worker.stats.total_time += result.execution_time
        record.failures += 1
        record.failed_by |= {worker.name}
        record.error_message = error
        what = (
            OccurrenceKind.ATTEMPT_TIMED_OUT
            if ending is AttemptOutcome.TIMED_OUT
            else OccurrenceKind.ATTEMPT_FAILED
        )
        self._tell(what, record, attempt.number, worker.name, error)
        self.standing.count_failure(worker, self._now, self._said)
        left = record.task.max_attempts - record.failures
        if left > 0 or self._can_be_reassigned(record):
            detail = f"attempts left: {left}" if left > 0 else "to another worker"
            self._transition(record, Cause.TO_BE_RETRIED)
            self._tell(OccurrenceKind.TASK_REQUEUED, record, attempt.number, detail=detail)
            self.queue.push(record, self._now)
        else:
            self._fail(record, Cause.FAILED_FOR_GOOD, error, result)

    def _can_be_reassigned(self, record: TaskRecord) -> bool:
        """Whether a worker is there that could do a task and has not failed it yet."""
        if not self.rules.reassigns_failed or record.failures >= MAX_ATTEMPTS:
            return False
        return any(
            worker.name not in record.failed_by
            and not worker.is_retiring
            and find_obstacle(self.queue.policy, record.task, worker) is None
            for worker in self.queue.workers
        )

    def _time_out(self, attempt: Attempt) -> None:
        error = f"timed out: after {attempt.timeout_s:g} s"
        result = failure_of(attempt, error, self._now)
        self._fail_attempt(attempt.task, attempt, AttemptOutcome.TIMED_OUT, error, result)

    def _lose_attempt(self, attempt: Attempt) -> None:
        record, name = attempt.task, attempt.worker.name
        attempt.ended_at = self._now
        if attempt.is_ahead:
            # It had not begun: whatever its worker died of, it was not this.
            attempt.is_ahead = False
            attempt.ending = AttemptOutcome.NOT_BEGUN
        else:
            attempt.ending = AttemptOutcome.LOST
            record.losses += 1
        error = f"worker lost: {record.losses} times, last on {name}"
        self._let_wait_again(attempt, f"worker lost: {name}", error)

    def _take_lease_back(self, attempt: Attempt) -> None:
        """Count an attempt as lost that its worker does not hold, and never told the end of."""
        record, name = attempt.task, attempt.worker.name
        self._end_attempt(attempt, AttemptOutcome.LOST)
        record.losses += 1
        # If somebody else can do it, the next attempt is not there.
        record.failed_by |= {name}
        error = f"attempt lost: {record.losses} times, last on {name}, which does not hold it"
        self._let_wait_again(attempt, f"attempt lost: {name} does not hold it", error)

    def _let_wait_again(self, attempt: Attempt, detail: str, error: str) -> None:
        """Let a task whose attempt was lost wait again, unless that has happened too often."""
        record, name = attempt.task, attempt.worker.name
        if record.losses <= self.rules.max_losses:
            self._transition(record, Cause.WORKER_LOST)
            self._tell(OccurrenceKind.TASK_REQUEUED, record, attempt.number, name, detail)
            self.queue.push(record, self._now)
            self._watch_expiry(record)
        else:
            record.error_message = error
            self._fail(record, Cause.LOST_TOO_OFTEN, error, failure_of(attempt, error, self._now))

    def _fail(self, record: TaskRecord, cause: Cause, error: str, result: TaskResult) -> None:
        self._transition(record, cause)
        record.result = result
        self._results[record.task_id] = result
        self._tell(OccurrenceKind.TASK_FAILED, record, record.attempt, record.worker, error)
        self._cancel_dependents(record)

    def _cancel_dependents(self, record: TaskRecord) -> None:
        """Cancel all that can never start now; a loop, since chains may be long."""
        reason = _upstream_reason(record)
        settled = deque([record])
        while settled:
            dependents = settled.popleft()
            for dependent in dependents.dependents or ():
                if dependent.status is TaskStatus.PENDING:
                    self._settle_for_upstream(dependent, reason)
                    settled.append(dependent)
            dependents.dependents = None

    def _cancel_for_upstream(self, record: TaskRecord, reason: str) -> None:
        self._settle_for_upstream(record, reason)
        self._cancel_dependents(record)

    def _settle_for_upstream(self, record: TaskRecord, reason: str) -> None:
        self._transition(record, Cause.UPSTREAM_FAILED)
        record.error_message = reason
        self._tell(OccurrenceKind.TASK_CANCELLED, record, detail=reason)

    def _note_progress(self, event: ProgressReported) -> None:
        progress = event.progress
        worker = self.attendance.hear(event.worker_id, self._now, self._said)
        record = self._tasks.get(progress.task_id)
        if worker is None or record is None or progress.worker != worker.name:
            return
        if worker.running.get((progress.task_id, progress.attempt)) is not record:
            return
        record.progress = progress.percent
        record.note = progress.note
        detail = f"{progress.percent:g} %" + (f": {progress.note}" if progress.note else "")
        self._tell(OccurrenceKind.TASK_PROGRESSED, record, progress.attempt, worker.name, detail)

    # ------------------------------------------------------------------ leases

    def _end_attempt(self, attempt: Attempt, ending: AttemptOutcome) -> None:
        attempt.ending = ending
        attempt.ended_at = self._now
        worker = attempt.worker
        if attempt.is_ahead:
            self.ahead.release(attempt)
        else:
            del worker.running[attempt.task.task_id, attempt.number]
            worker.stats.busy_time += self._now - attempt.started_at
        self._note_slots(worker)

    def _note_slots(self, worker: WorkerRecord) -> None:
        """Let what was sent ahead have the slots that have become free."""
        if self._slots_to_note is not None:
            self._slots_to_note[worker] = None
            return
        if worker.ahead:
            for attempt in self.ahead.promote(worker, self._now):
                if attempt.deadline is not None:
                    self.alarms.set(attempt)
        if worker.alive:
            self.queue.note_load(worker)

    def _take_back(self, event: TasksGivenBack) -> None:
        """Let those of a worker's tasks wait again that it was asked for and does not hold.

        What it was to stop, and does not hold, takes none of its slots any more.
        """
        worker = self.attendance.hear(event.worker_id, self._now, self._said)
        if worker is None:
            return
        for task_id, number in event.attempts:
            if self._confirm_stop(worker, task_id, number):
                continue
            record = worker.ahead.get((task_id, number)) or worker.running.get((task_id, number))
            if record is None:
                continue
            attempt = record.attempts[number - 1]
            if not attempt.is_recalled:
                if attempt.asked_at is not None:
                    self._take_lease_back(attempt)
                continue
            self._end_attempt(attempt, AttemptOutcome.NOT_BEGUN)
            self._transition(record, Cause.GIVEN_BACK)
            self._tell(
                OccurrenceKind.TASK_REQUEUED, record, number, worker.name, "given back, not begun"
            )
            self.queue.push(record, self._now)
            self._watch_expiry(record)

    def _stop(self, attempt: Attempt, ending: AttemptOutcome, reason: str) -> None:
        """End a lease whose worker must be told; its slot stays taken until the worker confirms.

        A worker that is away is told when it comes back.
        """
        worker, task_id = attempt.worker, attempt.task.task_id
        if not worker.alive:
            self._end_attempt(attempt, ending)
            return
        if attempt.is_ahead:
            worker.withdrawn.add((task_id, attempt.number))
        else:
            self._await_stop(attempt)
        self._end_attempt(attempt, ending)
        self._said.append(SendCancel(worker.worker_id, task_id, attempt.number, reason))

    def _await_stop(self, attempt: Attempt) -> None:
        """Count an attempt's slot as taken until its worker says that it has stopped."""
        attempt.worker.stopping.add((attempt.task.task_id, attempt.number))
        self.alarms.set(HeldSlotWarning(attempt, self._now + FIRST_TOLD_AFTER_S))

    def _warn_of_held_slot(self, warning: HeldSlotWarning) -> None:
        attempt = warning.attempt
        told = held_slot_of(attempt).describe(self._now)
        self._tell(
            OccurrenceKind.SLOT_HELD, attempt.task, attempt.number, attempt.worker.name, told
        )
        warning.at = self._now + TOLD_EVERY_S
        self.alarms.set(warning)

    def _confirm_stop(self, worker: WorkerRecord, task_id: TaskId, number: int) -> bool:
        if not worker.stopping and not worker.withdrawn:
            return False
        if (task_id, number) in worker.withdrawn:
            worker.withdrawn.remove((task_id, number))
            return True
        if (task_id, number) not in worker.stopping:
            return False
        worker.stopping.remove((task_id, number))
        self._note_slots(worker)
        return True

    # ------------------------------------------------------------------ workers

    def _meet(self, event: WorkerJoined) -> None:
        lost, returned, let_in = self.attendance.meet(event, self._now, self._said)
        if returned is not None:
            self._note_what_it_still_does(returned, event)
            self._note_slots(returned)
            # While it was away nobody looked after what waits there.
            if self.ahead.look_after(returned, self._now):
                self.alarms.set(self.ahead.looking)
        elif let_in is not None and event.holding:
            self._note_what_it_still_does(let_in, event)
        self._requeue(lost)

    def _note_what_it_still_does(self, worker: WorkerRecord, event: WorkerJoined) -> None:
        """Count the slots of attempts that ended here, and not at the worker that came back.

        It may never have been told to stop them.
        """
        for task_id, number in event.holding - worker.running.keys() - worker.ahead.keys():
            record = self._tasks.get(task_id)
            if record is None or not 1 <= number <= record.attempt:
                continue
            attempt = record.attempts[number - 1]
            if attempt.worker is not worker or attempt.ending is None or attempt.is_reported:
                continue
            if worker.taken < worker.slots:
                self._await_stop(attempt)
                self.queue.note_load(worker)
            # The success of one that was only lost from sight still counts if nobody was faster.
            if attempt.ending in _STOPPED or record.finished_at is not None:
                reason = record.error_message or "given up"
                self._said.append(SendCancel(worker.worker_id, task_id, number, reason))

    def _hear(self, event: WorkerHeard) -> None:
        worker = self.attendance.hear(event.worker_id, self._now, self._said)
        if worker is not None and not self.has_ended:
            self.lease_check.ask(worker, self._now, self._said)

    def _see_off(self, event: WorkerLeft) -> None:
        self._requeue(self.attendance.see_off(event, self._now, self._said))

    def _lose(self, worker: WorkerRecord, reason: str) -> None:
        self._requeue(self.attendance.lose(worker, reason, self._now, self._said))

    def _retire(self, event: RetirementRequested) -> None:
        self.standing.retire(event, self._now, self._said)

    def _requeue(self, lost: Iterable[Attempt]) -> None:
        for attempt in lost:
            self._lose_attempt(attempt)

    # ------------------------------------------------------------------ time

    def _excuse(self, event: ListeningInterrupted) -> None:
        """Let nobody be given up, and nothing time out, for what could not be taken in."""
        self.members.excuse(event.lasted_s, self._now)
        for worker in self.members.present.values():
            for attempt in attempts_of(worker.running):
                if attempt.deadline is not None and attempt.deadline <= self._now:
                    attempt.deadline += event.lasted_s

    def _resume(self) -> None:
        """Go on with a restored run: its workers may come back, and lose no time by its rest."""
        self.is_suspended = False
        self.ended_at = None
        self.failure = None
        self._said.append(Occurrence(self._now, OccurrenceKind.RUN_RESUMED))
        for worker in self.members.by_name.values():
            if worker.may_have_leases:
                self.attendance.expect_back(worker, self._now)
        # Whoever comes back at the last moment still hands in what it has done.
        patience_s = self.rules.return_within_s + self.rules.heartbeat_s
        for record in self._tasks.values():
            if record.status is TaskStatus.IN_PROGRESS and record.deadline is not None:
                attempt = record.attempts[-1]
                attempt.deadline = max(record.deadline, self._now + patience_s)
                self.alarms.set(attempt)

    def _open_doors(self, _: Event) -> None:
        if self.is_suspended:
            self._resume()
        self.roll.opened_at = self._now
        self.alarms.set(self.roll)

    def _let_time_pass(self, _: TimePassed) -> None:
        # Alarms sound here alone, so that what arrives in time counts though it is read late.
        has_expired = False
        while (alarm := self.alarms.take(self._now)) is not None:
            match alarm:
                case Attempt():
                    self._time_out(alarm)
                case Silence():
                    self._lose(alarm.worker, f"silent for {alarm.lost_after_s:g} s")
                case Absence():
                    detail = f"not back within {self.rules.return_within_s:g} s"
                    self._requeue(
                        self.attendance.give_up(alarm.worker, detail, self._now, self._said)
                    )
                case Quarantine():
                    self.standing.release(alarm.worker, self._now, self._said)
                case Challenge():
                    name = alarm.newcomer.name
                    self._lose(self.members.by_name[name], "silent, and replaced by a newcomer")
                case PrefetchRecall():
                    self.ahead.take_back(self._now, self._said)
                    self.alarms.set(alarm)
                case StartBarrier():
                    self._end_the_wait()
                case Expiry():
                    self._expire(alarm.record)
                    has_expired = True
                case HeldSlotWarning():
                    self._warn_of_held_slot(alarm)
        if self.began_at is not None and self.ended_at is None:
            self._give_up()
        elif not (self._unsettled or self.has_ended or self.is_suspended) and has_expired:
            # The workers that it waits for would find nothing to do.
            self._look_for_rest()

    def _end_the_wait(self) -> None:
        if self.rules.on_missing == "start" and self.members.present:
            self.attendance.call_the_roll(self._said)
        else:
            self.roll.is_called = True
            self._end(self.roll.verdict(self.members))

    def _end(self, failure: str | None) -> None:
        self.failure = failure
        self._close(failure or "")
        self._said.append(EndRun(failure))

    def _stop_run(self, event: StopRequested) -> None:
        if not self.has_ended:
            self.roll.is_called = True
            if event.is_failure:
                self.failure = event.reason
            self._close(event.reason)

    def _close(self, reason: str) -> None:
        self.ended_at = self._now
        self._said.append(Occurrence(self._now, OccurrenceKind.RUN_ENDED, detail=reason))

    # ------------------------------------------------------------------ the one way

    def _transition(self, record: TaskRecord, cause: Cause) -> None:
        """Change a task's status as the table says; the only place where that is done."""
        before = record.status
        after = TRANSITIONS.get((before, cause))
        if after is None:
            raise IllegalTransition(
                f"task {record.task_id!r} is {before.value}, so it can't be {cause.value}; "
                f"its story: {describe_story(record)}"
            )
        record.status = after
        if self._held:
            self._held.pop(record.task_id, None)
        counts = self._counts
        counts[before] -= 1
        counts[after] += 1
        if after in _FINAL:
            record.finished_at = self._now
            self._unsettled -= 1

    def _tell(
        self,
        what: OccurrenceKind,
        record: TaskRecord,
        attempt: int = 0,
        worker: str = "",
        detail: str = "",
    ) -> None:
        occurrence = Occurrence(self._now, what, record.task_id, attempt, worker, detail)
        record.tell(occurrence)
        self._said.append(occurrence)

    def _ignore(self, reason: str, record: TaskRecord, result: TaskResult) -> None:
        self._count_ignored(reason)
        worker = result.worker if result.worker in self.members.by_name else ""
        self._tell(OccurrenceKind.RESULT_IGNORED, record, result.attempt, worker, reason)

    def _count_ignored(self, reason: str) -> None:
        self._ignored[reason] = self._ignored.get(reason, 0) + 1


def _upstream_reason(record: TaskRecord) -> str:
    """Why what depends on a task can never start: by the first of the chain that went wrong."""
    error = record.error_message or ""
    if record.status is TaskStatus.CANCELLED and error.startswith("dependency: "):
        return error
    return f"dependency: task {record.task_id} {record.status.value}"
