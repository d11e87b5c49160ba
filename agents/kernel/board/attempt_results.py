"""Ends attempts: handles results, progress, timeouts, lost workers and returned attempts."""

from __future__ import annotations

from ....messages import TaskId, TaskProgress, TaskResult, TaskStatus
from ....messages.task import MAX_ATTEMPTS
from ..matching.eligibility import describe_declines, max_attempts_of
from ..matching.scorecards.skill_errors import is_skill_error
from ..model.error_kind import error_kind
from ..model.events import WorkerId
from ..model.failed_attempt import FailedAttempt
from ..model.leases import failure_of
from ..model.occurrences import (
    DeclineFacts,
    FailureCause,
    FailureFacts,
    OccurrenceKind,
    ProgressFacts,
    RequeueCause,
    RequeueFacts,
)
from ..model.records import Attempt, AttemptOutcome, Drain, TaskRecord, WorkerRecord
from ..model.second_opinions import needs_second_opinion
from ..model.suspension import resume
from .attempt_leases import AttemptLeases
from .attempt_retries import (
    choose_worker,
    delay_of_retry,
    explain_end,
    explain_no_repetition,
    last_told,
    may_be_repeated,
    may_be_retried,
)
from .context import BoardContext
from .lessons import Lessons
from .quarantine import QuarantinePolicy
from .second_opinions import SecondOpinions
from .spending import Spending
from .task_lifecycle import TaskLifecycle
from .task_registry import TaskRegistry
from .transitions import Cause
from .worker_registry import WorkerRegistry

MAX_DECLINES = 100
"""How many workers may decline a task before it fails even if others could have it."""

_SUCCEEDED = AttemptOutcome.SUCCEEDED
_UNCOUNTED = frozenset({AttemptOutcome.LOST, AttemptOutcome.NOT_BEGUN, AttemptOutcome.RETURNED})


class AttemptResults:
    """Ends attempts, and settles or requeues their tasks."""

    def __init__(
        self,
        context: BoardContext,
        tasks: TaskRegistry,
        workers: WorkerRegistry,
        *,
        leases: AttemptLeases,
        lifecycle: TaskLifecycle,
        quarantine: QuarantinePolicy,
        lessons: Lessons,
        spending: Spending,
    ) -> None:
        self._context = context
        self._tasks = tasks
        self._workers = workers
        self._queue = context.queue
        self._leases = leases
        self._lifecycle = lifecycle
        self._quarantine = quarantine
        self._lessons = lessons
        self._spending = spending
        # It never changes, and this is asked for every result.
        self._fails_late = context.rules.on_late == "fail"
        self._opinions = SecondOpinions(
            context,
            lifecycle=lifecycle,
            quarantine=quarantine,
            lessons=lessons,
            retry=self._retry_or_fail,
        )

    # ------------------------------------------------------------------ reported

    def take(self, result: TaskResult, worker_id: WorkerId, present: WorkerRecord | None) -> None:
        """Record the result of an attempt, or ignore it and record the reason.

        Args:
            result: the result; it may be late or a duplicate.
            worker_id: the address of its sender.
            present: the worker connected at this address; None if there is none.
        """
        record = self._tasks.by_id.get(result.task_id)
        if record is None:
            # No occurrence: a worker that sends invented ids could create any number of them.
            self._tasks.count_ignored("unknown task")
            return
        worker = present or self._workers.find(worker_id)
        if worker is None:
            self._ignore("unknown worker", record, result)
            return
        number, attempts = result.attempt, record.attempts
        attempt = attempts[number - 1] if 1 <= number <= len(attempts) else None
        if attempt is None or attempt.worker is not worker or result.worker != worker.name:
            self._ignore("not this worker's attempt", record, result)
            return
        if attempt.outcome is None and present is None:
            self._ignore("from a former address", record, result)
            return
        was_stopping = self._leases.confirm_stop(worker, record.task_id, attempt.number)
        if attempt.is_reported:
            self._ignore("came twice", record, result)
            return
        attempt.is_reported = True
        self._spending.note_result(attempt, result)
        duration = attempt.duration
        if duration is not None and not result.declined and result.retry_after_s is None:
            took_s = result.execution_time
            duration.learn(took_s)
            if self._fails_late and result.success and duration.note_success(took_s):
                self._lifecycle.watch_deadlines(duration)
        if attempt.outcome is None:
            if result.declined:
                self._decline(attempt, result)
            elif result.success:
                self._complete(record, attempt, result)
            else:
                error = result.error_message or "failed: no reason given"
                is_postponed = result.retry_after_s is not None
                cause = FailureCause.POSTPONED if is_postponed else FailureCause.HANDLER
                self._fail(attempt, FailureFacts(cause, error), result)
        elif (
            result.success
            and not result.declined
            and record.finished_at is None
            and not needs_second_opinion(record.task)
        ):
            self._complete_late(record, attempt, result)
        elif result.success or not was_stopping:
            self._ignore("came too late", record, result)

    def note_progress(self, progress: TaskProgress, worker: WorkerRecord | None) -> None:
        """Record the progress of a running attempt; ignored for any other attempt."""
        record = self._tasks.by_id.get(progress.task_id)
        if worker is None or record is None or progress.worker != worker.name:
            return
        key = (progress.task_id, progress.attempt)
        if worker.running.get(key) is not record and key not in worker.suspended:
            return
        record.progress = progress.percent
        record.note = progress.note
        facts = ProgressFacts(progress.percent, progress.note)
        self._context.note_task(
            OccurrenceKind.TASK_PROGRESSED, record, progress.attempt, worker.name, facts
        )

    def take_back(self, worker: WorkerRecord, attempts: tuple[tuple[TaskId, int], ...]) -> None:
        """Requeue the tasks of attempts that a worker returns because it does not hold them.

        This also frees the slots of attempts that were told to stop.
        """
        for task_id, number in attempts:
            if self._leases.confirm_stop(worker, task_id, number):
                continue
            key = (task_id, number)
            record = worker.prefetched.get(key) or worker.running.get(key)
            record = record or worker.suspended.get(key)
            if record is None:
                continue
            attempt = record.attempts[number - 1]
            if attempt.is_recalled or worker.drain is Drain.OWN:
                self._leases.end(attempt, AttemptOutcome.NOT_BEGUN)
                facts = RequeueFacts(RequeueCause.GIVEN_BACK)
                self._requeue(attempt, Cause.GIVEN_BACK, facts, worker=worker.name)
            elif attempt.asked_at is not None:
                self._lose_unheld(attempt)

    # ------------------------------------------------------------------ not reported

    def time_out(self, attempt: Attempt) -> None:
        """Fail an attempt that took too long."""
        error = f"timed out: after {attempt.timeout_s:g} s"
        if not may_be_repeated(attempt):
            error = explain_no_repetition(error, attempt)
        result = failure_of(attempt, error, self._context.now)
        self._fail(attempt, FailureFacts(FailureCause.TIMED_OUT, error), result)

    def lose(self, attempts: list[Attempt]) -> None:
        """Requeue the tasks of attempts whose worker was lost."""
        self._end_with_worker(attempts, AttemptOutcome.LOST)
        for attempt in attempts:
            record = attempt.task
            if not record.status.is_final:
                error = f"worker lost: {record.losses} times, last on {attempt.worker.name}"
                self._requeue_lost(attempt, RequeueCause.WORKER_LOST, error)

    def return_all(self, attempts: list[Attempt]) -> None:
        """Requeue the tasks of attempts whose worker left in order: it stopped them itself."""
        self._end_with_worker(attempts, AttemptOutcome.RETURNED)
        for attempt in attempts:
            if attempt.task.status.is_final:
                continue
            name, has_begun = attempt.worker.name, attempt.outcome is AttemptOutcome.RETURNED
            if has_begun and not may_be_repeated(attempt):
                self._fail_lost(attempt, f"worker left: {name} stopped it")
                continue
            cause = RequeueCause.RETURNED if has_begun else RequeueCause.GIVEN_BACK
            self._requeue(attempt, Cause.GIVEN_BACK, RequeueFacts(cause), worker=name)

    def _end_with_worker(self, attempts: list[Attempt], outcome: AttemptOutcome) -> None:
        """End attempts whose worker is gone.

        All of them end before any of their tasks is requeued. A task that fails then may cancel a
        subtask that the same worker had.
        """
        for attempt in attempts:
            record = attempt.task
            attempt.ended_at = self._context.now
            if self._queue.limiter is not None:
                self._queue.limiter.end((record.task_id, attempt.number), attempt.ended_at)
            self._spending.end(attempt, outcome)
            resume(attempt, self._context.now)
            if attempt.is_prefetched:
                # It had not begun, so it can't be the cause of the worker's loss.
                attempt.is_prefetched = False
                attempt.outcome = AttemptOutcome.NOT_BEGUN
                continue
            attempt.outcome = outcome
            record.losses += outcome is AttemptOutcome.LOST
            self._lessons.tell(attempt, outcome)

    def _lose_unheld(self, attempt: Attempt) -> None:
        """Mark an attempt as lost that its worker neither holds nor has reported."""
        record, name = attempt.task, attempt.worker.name
        self._leases.end(attempt, AttemptOutcome.LOST)
        self._lessons.tell(attempt, AttemptOutcome.LOST)
        record.losses += 1
        # The next attempt goes to another worker if one can run it.
        record.failed_by |= {name}
        error = f"attempt lost: {record.losses} times, last on {name}, which does not hold it"
        self._requeue_lost(attempt, RequeueCause.ATTEMPT_LOST, error)

    def _requeue_lost(self, attempt: Attempt, cause: RequeueCause, error: str) -> None:
        """Requeue a task whose attempt was lost, unless that has happened too often."""
        record = attempt.task
        limit = record.task.max_losses
        limit = self._context.rules.max_losses if limit is None else limit
        was_begun = attempt.outcome is AttemptOutcome.LOST
        note = last_told(attempt) if was_begun else ""
        if was_begun and not may_be_repeated(attempt):
            self._fail_lost(attempt, error)
        elif record.losses <= limit:
            facts = RequeueFacts(cause, note=note)
            self._requeue(attempt, Cause.WORKER_LOST, facts, worker=attempt.worker.name)
        else:
            told = f"; it had told: {note}" if note else ""
            self._fail_lost(attempt, f"{error}{told}; its max_losses is {limit}")

    def _fail_lost(self, attempt: Attempt, error: str) -> None:
        """Fail the task of an attempt that ended with its worker."""
        record = attempt.task
        if not may_be_repeated(attempt):
            error = f"{explain_no_repetition(error, attempt)}; with max_losses above 0 it would be"
        record.error_message = error
        result = failure_of(attempt, error, self._context.now)
        facts = FailureFacts(FailureCause.LOST, error)
        self._lifecycle.fail(record, Cause.LOST_TOO_OFTEN, facts, result)

    # ------------------------------------------------------------------ what comes of it

    def _complete(self, record: TaskRecord, attempt: Attempt, result: TaskResult) -> None:
        worker = attempt.worker
        worker.failures_in_a_row = 0
        self._leases.end(attempt, _SUCCEEDED)
        stats = worker.stats
        stats.completed_tasks += 1
        stats.successful_tasks += 1
        stats.total_time += result.execution_time
        attempt.quality = result.quality
        if needs_second_opinion(record.task):
            self._opinions.take(record, attempt, result)
        else:
            self._lessons.tell(attempt, _SUCCEEDED, result)
            self._lifecycle.complete(record, attempt, result)

    def _complete_late(self, record: TaskRecord, attempt: Attempt, result: TaskResult) -> None:
        """Record the late success of an ended attempt, because no other attempt was faster."""
        worker = attempt.worker
        if record.status is TaskStatus.IN_PROGRESS:
            reason = f"done elsewhere: by {worker.name}"
            self._leases.stop(record.attempts[-1], AttemptOutcome.OVERTAKEN, reason)
        else:
            self._queue.remove(record)
        worker.stats.successful_tasks += 1
        worker.failures_in_a_row = 0
        self._leases.update_slots(worker)
        if attempt.outcome in _UNCOUNTED:
            # A timed-out attempt was counted when it timed out.
            worker.stats.completed_tasks += 1
            worker.stats.total_time += result.execution_time
        self._lessons.tell(attempt, _SUCCEEDED, result)
        self._lifecycle.complete(record, attempt, result)

    def _fail(self, attempt: Attempt, facts: FailureFacts, result: TaskResult) -> None:
        """Fail an attempt, and its task if it has no attempts left."""
        record, worker, error = attempt.task, attempt.worker, facts.error
        # That a handler wants to be called later is not the worker's fault.
        is_postponed = facts.cause is FailureCause.POSTPONED
        if facts.cause is FailureCause.TIMED_OUT:
            what = OccurrenceKind.ATTEMPT_TIMED_OUT
            self._leases.stop(attempt, AttemptOutcome.TIMED_OUT, error)
        else:
            what = OccurrenceKind.ATTEMPT_FAILED
            outcome = AttemptOutcome.POSTPONED if is_postponed else AttemptOutcome.FAILED
            self._leases.end(attempt, outcome)
        record.error_message = error
        if result.error_traceback is not None:
            record.failure = FailedAttempt(error, result.error_traceback)
        self._context.note_task(what, record, attempt.number, worker.name, facts)
        if not is_postponed:
            worker.stats.completed_tasks += 1
            worker.stats.total_time += result.execution_time
            if not (result.gives_up and not is_skill_error(error_kind(error))):
                # Any worker would have failed: with these arguments, or at this moment.
                self._quarantine.count_failure(worker)
        if attempt.is_review:
            self._opinions.fail_review(attempt, facts, result)
            return
        self._lessons.tell(attempt, attempt.outcome or AttemptOutcome.FAILED, result, error)
        record.failures += 1
        if not is_postponed:
            record.failed_by |= {worker.name}
        self._retry_or_fail(attempt, facts, result)

    def _retry_or_fail(self, attempt: Attempt, facts: FailureFacts, result: TaskResult) -> None:
        """Requeue a task whose attempt failed, or fail it if it has no attempts left."""
        record, context = attempt.task, self._context
        may_retry = may_be_retried(attempt, facts, result)
        delay = delay_of_retry(context, record, facts, result)
        left = max_attempts_of(record) - record.failures
        if may_retry and record.task.votes > 1:
            choose_worker(attempt)
            requeue = RequeueFacts(RequeueCause.REASSIGNED)
            self._opinions.go_on(attempt, Cause.TO_BE_RETRIED, requeue, delay=delay)
        elif may_retry and left > 0:
            choose_worker(attempt)
            requeue = RequeueFacts(RequeueCause.RETRY, left)
            self._lifecycle.requeue(attempt, Cause.TO_BE_RETRIED, requeue, delay=delay)
        elif may_retry and self._can_be_reassigned(record) and result.retry_after_s is None:
            requeue = RequeueFacts(RequeueCause.REASSIGNED)
            self._lifecycle.requeue(attempt, Cause.TO_BE_RETRIED, requeue)
        else:
            facts, result = explain_end(record, facts, result)
            record.error_message = facts.error
            self._lifecycle.fail(record, Cause.FAILED_FOR_GOOD, facts, result)

    def _requeue(self, attempt: Attempt, cause: Cause, facts: RequeueFacts, *, worker: str) -> None:
        if attempt.task.task.votes > 1:
            self._opinions.go_on(attempt, cause, facts, worker=worker)
        else:
            self._lifecycle.requeue(attempt, cause, facts, worker=worker)

    def _can_be_reassigned(self, record: TaskRecord) -> bool:
        """Whether a connected worker can run a task and has not failed it yet."""
        if not self._context.rules.reassigns_failed or record.failures >= MAX_ATTEMPTS:
            return False
        if record.retry is not None:
            # It says how many attempts there are.
            return False
        eligibility, workers = self._queue.eligibility_of(record), self._queue.workers
        return any(
            worker.name not in record.failed_by
            and not worker.is_leaving
            and eligibility.may_get(worker, workers)
            for worker in workers
        )

    def _decline(self, attempt: Attempt, result: TaskResult) -> None:
        """Give a task that its worker declined to another one; fail it if there is no other."""
        record, name = attempt.task, attempt.worker.name
        self._leases.end(attempt, AttemptOutcome.DECLINED)
        record.declined_by |= {name}
        reason = result.error_message or "no reason given"
        self._context.note_task(
            OccurrenceKind.ATTEMPT_DECLINED, record, attempt.number, name, DeclineFacts(reason)
        )
        self._lessons.tell(attempt, AttemptOutcome.DECLINED, result)
        if self._can_be_taken(record):
            facts = RequeueFacts(RequeueCause.DECLINED)
            self._lifecycle.requeue(attempt, Cause.DECLINED, facts, worker=name)
            return
        error = record.error_message = f"declined: {describe_declines(record)}"
        facts = FailureFacts(FailureCause.DECLINED, error)
        result = result.model_copy(update={"success": False, "error_message": error})
        self._lifecycle.fail(record, Cause.DECLINED_BY_ALL, facts, result)

    def _can_be_taken(self, record: TaskRecord) -> bool:
        """Whether a worker that is here, or expected back, may get a declined task."""
        if len(record.declined_by) >= MAX_DECLINES:
            return False
        workers = [
            each
            for each in self._workers.by_name.values()
            if each.may_have_leases and not each.is_leaving
        ]
        return bool(self._queue.eligibility_of(record).able_if_paid(workers))

    def _ignore(self, reason: str, record: TaskRecord, result: TaskResult) -> None:
        self._tasks.count_ignored(reason)
        worker = result.worker if result.worker in self._workers.by_name else ""
        self._context.note_task(
            OccurrenceKind.RESULT_IGNORED, record, result.attempt, worker, reason
        )
