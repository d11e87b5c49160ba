"""Reviews and votes: what becomes of a task whose result needs more than one worker.

Reviews and votes are attempts like all others, so timeouts, losses, restarts and cancellations
reach them in the same way. Only the result of such an attempt is handled here.
"""

from __future__ import annotations

from collections.abc import Callable

from ....messages import TaskResult
from ..model.leases import failure_of
from ..model.occurrences import (
    DelayFacts,
    FailureCause,
    FailureFacts,
    OccurrenceKind,
    RequeueCause,
    RequeueFacts,
    ReviewFacts,
)
from ..model.records import Attempt, AttemptOutcome, TaskRecord
from ..model.second_opinions import (
    MAX_FAILED_REVIEWS,
    Tally,
    count_votes,
    describe_votes,
    failed_reviews,
    is_accepted,
    lacks_votes,
    open_attempts,
    result_to_review,
)
from .attempt_retries import postponement
from .context import BoardContext
from .lessons import Lessons
from .quarantine import QuarantinePolicy
from .task_lifecycle import TaskLifecycle
from .transitions import Cause

_MAX_REASON_CHARACTERS = 1_000


class SecondOpinions:
    """Sends results to review, counts votes, and settles tasks by the verdict."""

    def __init__(
        self,
        context: BoardContext,
        *,
        lifecycle: TaskLifecycle,
        quarantine: QuarantinePolicy,
        lessons: Lessons,
        retry: Callable[[Attempt, FailureFacts, TaskResult], None],
    ) -> None:
        self._context = context
        self._queue = context.queue
        self._lifecycle = lifecycle
        self._quarantine = quarantine
        self._lessons = lessons
        self._retry = retry

    def take(self, record: TaskRecord, attempt: Attempt, result: TaskResult) -> None:
        """Handle the successful result of an attempt that has ended."""
        reviewed = result_to_review(record)
        if attempt.is_review and reviewed is not None:
            self._take_review(attempt, reviewed, result)
            return
        attempt.result = result
        self._context.note_task(
            OccurrenceKind.ATTEMPT_SUCCEEDED, record, attempt.number, attempt.worker.name
        )
        if record.task.review:
            self._lifecycle.wait_for_opinion(record)
        else:
            self._decide_or_wait(record)

    # ------------------------------------------------------------------ reviews

    def _take_review(self, review: Attempt, reviewed: Attempt, verdict: TaskResult) -> None:
        record, grade, reviewer = review.task, verdict.quality, review.worker.name
        reason = "" if verdict.output is None else str(verdict.output)[:_MAX_REASON_CHARACTERS]
        facts = ReviewFacts(reviewed.number, grade, reason)
        self._context.note_task(
            OccurrenceKind.ATTEMPT_REVIEWED, record, review.number, reviewer, facts
        )
        # The review itself tells nothing about the reviewer's skill, so it has no grade.
        review.quality = None
        reviewed.quality = grade
        result = reviewed.result
        assert result is not None
        if is_accepted(verdict):
            self._lessons.tell(reviewed, AttemptOutcome.SUCCEEDED, result)
            graded = result.model_copy(update={"quality": grade})
            self._lifecycle.complete(record, reviewed, graded)
        else:
            self._reject(reviewed, result, f"rejected: by {reviewer}: {reason or f'{grade:g}'}")

    def _reject(self, reviewed: Attempt, result: TaskResult, error: str) -> None:
        """Count a rejected attempt as a failure of its worker, and send the task on."""
        record, worker = reviewed.task, reviewed.worker
        reviewed.outcome = AttemptOutcome.REJECTED
        reviewed.result = None
        # It was counted as a success when it ended.
        worker.stats.successful_tasks = max(worker.stats.successful_tasks - 1, 0)
        record.failures += 1
        record.failed_by |= {worker.name}
        record.error_message = error
        facts = FailureFacts(FailureCause.REJECTED, error)
        self._context.note_task(
            OccurrenceKind.ATTEMPT_REJECTED, record, reviewed.number, worker.name, facts
        )
        self._lessons.tell(reviewed, AttemptOutcome.REJECTED, result, error)
        self._quarantine.count_failure(worker)
        failed = result.model_copy(
            update={
                "success": False,
                "error_message": error,
                "output": None,
                "quality": reviewed.quality,
            }
        )
        self._retry(reviewed, facts, failed)

    def fail_review(self, review: Attempt, facts: FailureFacts, result: TaskResult) -> None:
        """Have another worker review a result after a review failed or timed out."""
        record = review.task
        reviewed = result_to_review(record)
        assert reviewed is not None
        failed = len(failed_reviews(record, reviewed))
        if failed < MAX_FAILED_REVIEWS and not result.gives_up:
            requeue = RequeueFacts(RequeueCause.RETRY, MAX_FAILED_REVIEWS - failed)
            delay = postponement(
                self._context, result, f"review {failed + 1} of {MAX_FAILED_REVIEWS}"
            )
            self._lifecycle.requeue(review, Cause.TO_BE_RETRIED, requeue, delay=delay)
            return
        error = f"review failed: {failed} times, last at {review.worker.name}: {facts.error}"
        record.error_message = error
        facts = facts._replace(error=error)
        result = result.model_copy(update={"error_message": error})
        self._lifecycle.fail(record, Cause.FAILED_FOR_GOOD, facts, result)

    # ------------------------------------------------------------------ votes

    def go_on(
        self,
        attempt: Attempt,
        cause: Cause,
        facts: RequeueFacts,
        *,
        worker: str = "",
        delay: DelayFacts | None = None,
    ) -> None:
        """Go on after an attempt at a task with several votes ended without one.

        Args:
            attempt: the attempt that ended.
            cause: the cause of the status transition if the task is requeued.
            facts: the facts for the task's story.
            worker: the worker's name for the story; "" to leave it out.
            delay: until when it waits before the next attempt; None for no wait.
        """
        record = attempt.task
        is_undecided = not count_votes(record).has_majority
        if open_attempts(record) or (is_undecided and lacks_votes(record)):
            self._lifecycle.requeue(attempt, cause, facts, worker=worker, delay=delay)
            return
        if cause is not Cause.TO_BE_RETRIED:
            # A failure has its own occurrence; this is the only one that ends the attempt.
            self._context.note_task(
                OccurrenceKind.TASK_REQUEUED, record, attempt.number, worker, facts
            )
        self._decide_or_wait(record)

    def _decide_or_wait(self, record: TaskRecord) -> None:
        """Complete a task by a majority, or have more workers vote, or fail it."""
        if open_attempts(record):
            # They are paid for already, and their agreement tells something about their workers.
            self._lifecycle.wait_for_opinion(record)
            return
        tally = count_votes(record)
        if tally.has_majority:
            self._complete(record, tally)
        elif lacks_votes(record):
            self._lifecycle.wait_for_opinion(record)
        else:
            self._fail_undecided(record)

    def _complete(self, record: TaskRecord, tally: Tally) -> None:
        for vote in tally.votes:
            vote.quality = 1.0 if vote in tally.leading else 0.0
            self._lessons.tell(vote, AttemptOutcome.SUCCEEDED, vote.result)
        best = tally.leading[0]
        assert best.result is not None
        share = len(tally.leading) / len(tally.votes)
        self._queue.remove(record)
        self._lifecycle.complete(
            record, best, best.result.model_copy(update={"quality": round(share, 6)})
        )

    def _fail_undecided(self, record: TaskRecord) -> None:
        error = f"no majority: {describe_votes(record)}"
        if record.failures:
            error += f"; {record.failures} attempts failed, last with: {record.error_message}"
        record.error_message = error
        facts = FailureFacts(FailureCause.UNDECIDED, error)
        result = failure_of(record.attempts[-1], error, self._context.now)
        self._lifecycle.fail(record, Cause.FAILED_FOR_GOOD, facts, result)
