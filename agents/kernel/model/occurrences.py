"""Occurrences: the events that the board records, with their facts as typed fields.

Only `occurrence_text.py` converts them to text and back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import NamedTuple, TypeAlias

from ....messages import TaskId, TaskStatus


class OccurrenceKind(str, Enum):
    """The kinds of occurrence."""

    TASK_ADDED = "task_added"
    TASK_ASSIGNED = "task_assigned"
    TASK_PROGRESSED = "task_progressed"
    TASK_COMPLETED = "task_completed"
    TASK_FAILED = "task_failed"
    TASK_CANCELLED = "task_cancelled"
    TASK_REQUEUED = "task_requeued"
    TASK_DELAYED = "task_delayed"
    """A task waits until a time: before it may begin, or between two attempts."""
    TASK_REPRIORITIZED = "task_reprioritized"
    TASK_FORGOTTEN = "task_forgotten"
    TASK_RETRIED = "task_retried"
    """A settled task begins anew, since somebody asked for it."""
    ATTEMPT_SUCCEEDED = "attempt_succeeded"
    """An attempt whose result waits for a review or for other votes."""
    ATTEMPT_FAILED = "attempt_failed"
    ATTEMPT_TIMED_OUT = "attempt_timed_out"
    ATTEMPT_REVIEWED = "attempt_reviewed"
    """An attempt that was the review of an earlier one."""
    ATTEMPT_REJECTED = "attempt_rejected"
    ATTEMPT_DECLINED = "attempt_declined"
    ATTEMPT_CHARGED = "attempt_charged"
    QUESTION_ASKED = "question_asked"
    """A handler asks a person, and waits for the answer."""
    QUESTION_ANSWERED = "question_answered"
    QUESTION_EXPIRED = "question_expired"
    """Nobody has answered in time."""
    ATTEMPT_SUSPENDED = "attempt_suspended"
    """An attempt that waits for something, and has given back its slot."""
    ATTEMPT_RESUMED = "attempt_resumed"
    RESULT_IGNORED = "result_ignored"
    SLOT_HELD = "slot_held"
    WORKER_JOINED = "worker_joined"
    WORKER_RETURNED = "worker_returned"
    WORKER_REFUSED = "worker_refused"
    WORKER_LOST = "worker_lost"
    WORKER_QUARANTINED = "worker_quarantined"
    WORKER_RELEASED = "worker_released"
    WORKER_RETIRED = "worker_retired"
    WORKER_DRAINED = "worker_drained"
    """A worker gets no more tasks, and finishes those it has."""
    WORKER_RESUMED = "worker_resumed"
    """A drained worker may get tasks again."""
    ASSIGNING_BEGUN = "assigning_begun"
    BUDGET_CHANGED = "budget_changed"
    RUN_RESUMED = "run_resumed"
    RUN_PAUSED = "run_paused"
    RUN_UNPAUSED = "run_unpaused"
    RUN_ENDED = "run_ended"


SETTLING = frozenset(
    {OccurrenceKind.TASK_COMPLETED, OccurrenceKind.TASK_FAILED, OccurrenceKind.TASK_CANCELLED}
)
"""The kinds of occurrence that settle a task."""


class FailureCause(str, Enum):
    """Why an attempt or a task failed."""

    HANDLER = "handler"
    """The worker reported the failure."""
    TIMED_OUT = "timed_out"
    LOST = "lost"
    """Its worker was lost, or did not hold it, too often."""
    UNMATCHED = "unmatched"
    """No connected worker could run it before the timeout."""
    EXPIRED = "expired"
    """It did not begin in time."""
    REJECTED = "rejected"
    """A reviewer rejected its result."""
    UNDECIDED = "undecided"
    """The votes of its workers have no majority."""
    LATE = "late"
    """It could not be completed by its deadline any more."""
    DECLINED = "declined"
    """Each worker that could run it declined it."""
    POSTPONED = "postponed"
    """Its handler asked to be called again later."""
    BUDGET = "budget"
    """The budget was spent, and only workers that cost something could run it."""


class FailureFacts(NamedTuple):
    """Why an attempt or a task failed.

    Args:
        cause: what kind of failure it is.
        error: the error message.
    """

    cause: FailureCause
    error: str


class ReviewFacts(NamedTuple):
    """The verdict of a review.

    Args:
        reviewed: the number of the attempt whose result was reviewed.
        grade: the grade, 0 to 1; None if the reviewer accepted the result without one.
        reason: the reviewer's reason, or "".
    """

    reviewed: int
    grade: float | None
    reason: str = ""


class CancellationCause(str, Enum):
    """Why a task was cancelled."""

    REQUESTED = "requested"
    """The user or a client requested it."""
    UPSTREAM = "upstream"
    """A task that it depends on was not completed."""
    NOT_NEEDED = "not_needed"
    """It runs only if a task that it depends on fails, and none did."""
    PARENT = "parent"
    """Its parent was cancelled or failed."""


class CancellationFacts(NamedTuple):
    """Why a task was cancelled.

    Args:
        cause: the cause.
        reason: the reason as text.
    """

    cause: CancellationCause
    reason: str


class RequeueCause(str, Enum):
    """Why a task was requeued."""

    RETRY = "retry"
    """Its attempt failed or timed out, and it has attempts left."""
    REASSIGNED = "reassigned"
    """Its last attempt failed or timed out, and another worker can run it."""
    WORKER_LOST = "worker_lost"
    ATTEMPT_LOST = "attempt_lost"
    """Its worker neither holds the attempt nor has reported its end."""
    GIVEN_BACK = "given_back"
    """Its worker returned it before it had begun."""
    DECLINED = "declined"
    """Its worker declined it."""
    RETURNED = "returned"
    """Its worker left, and gave it back unfinished."""


class RequeueFacts(NamedTuple):
    """Why a task was requeued.

    Args:
        cause: the cause.
        attempts_left: the number of attempts left after a failure.
        note: what a lost attempt had told last, or "".
    """

    cause: RequeueCause
    attempts_left: int = 0
    note: str = ""


class DelayFacts(NamedTuple):
    """Until when a task waits.

    Args:
        until: the time, in seconds of the board's time.
        reason: why it waits, such as "retry 2 of 5 after ConnectionError".
    """

    until: float
    reason: str


class DeclineFacts(NamedTuple):
    """Why a worker declined a task.

    Args:
        reason: the worker's reason.
    """

    reason: str


class ChargeFacts(NamedTuple):
    """A cost that was reported after the attempt had ended, or in another unit than the run's.

    Args:
        cost: what the attempt cost.
        unit: the unit of this cost.
        is_counted: whether it counts to the budget; not if it is in another unit.
    """

    cost: float
    unit: str
    is_counted: bool


class BudgetFacts(NamedTuple):
    """A change of the budget.

    Args:
        before: the former budget; None for no limit.
        after: the new one.
        unit: their unit.
    """

    before: float | None
    after: float | None
    unit: str


class PriorityFacts(NamedTuple):
    """A change of a task's priority.

    Args:
        before: the former priority.
        after: the new one.
    """

    before: int
    after: int


class RetryFacts(NamedTuple):
    """Why a settled task begins anew.

    Args:
        before: its former status.
        reason: who asked for it, or which task it depends on begins anew.
    """

    before: TaskStatus
    reason: str


class QuestionFacts(NamedTuple):
    """What a task asks.

    Args:
        number: the number of the question within the task.
        text: the question.
    """

    number: int
    text: str


class AnswerFacts(NamedTuple):
    """What became of a question.

    Args:
        number: the number of the question within the task.
        answer: the answer, or the default if nobody answered in time; None if there is none.
        by: who answered; "" if nobody did.
    """

    number: int
    answer: str | None
    by: str = ""


class ProgressFacts(NamedTuple):
    """The progress of an attempt.

    Args:
        percent: 0 to 100.
        note: the worker's note, or "".
    """

    percent: float
    note: str = ""


class HeldSlotFacts(NamedTuple):
    """A slot that an ended attempt still holds.

    Args:
        held_s: the time since it was told to stop, in seconds.
        reason: the reason for the stop, such as "it was cancelled".
    """

    held_s: float
    reason: str


class JoinFacts(NamedTuple):
    """The capabilities of a worker that joined.

    Args:
        skill_level: its skill level.
        slots: how many tasks it runs at once.
    """

    skill_level: int
    slots: int


class ReturnFacts(NamedTuple):
    """The leases that a returned worker still holds.

    Args:
        leases: the number of its attempts.
    """

    leases: int


class QuarantineFacts(NamedTuple):
    """Why a worker is in quarantine, and for how long.

    Args:
        failures_in_a_row: the number of consecutive failed attempts.
        lasts_s: the duration of the quarantine, in seconds.
    """

    failures_in_a_row: int
    lasts_s: float


Facts: TypeAlias = (
    FailureFacts
    | ReviewFacts
    | CancellationFacts
    | RequeueFacts
    | DelayFacts
    | DeclineFacts
    | ChargeFacts
    | BudgetFacts
    | PriorityFacts
    | RetryFacts
    | QuestionFacts
    | AnswerFacts
    | ProgressFacts
    | HeldSlotFacts
    | JoinFacts
    | ReturnFacts
    | QuarantineFacts
)
"""The typed facts of an occurrence."""

FACTS_OF: Mapping[OccurrenceKind, type[Facts]] = {
    OccurrenceKind.TASK_PROGRESSED: ProgressFacts,
    OccurrenceKind.TASK_FAILED: FailureFacts,
    OccurrenceKind.TASK_CANCELLED: CancellationFacts,
    OccurrenceKind.TASK_REQUEUED: RequeueFacts,
    OccurrenceKind.TASK_DELAYED: DelayFacts,
    OccurrenceKind.TASK_REPRIORITIZED: PriorityFacts,
    OccurrenceKind.TASK_RETRIED: RetryFacts,
    OccurrenceKind.QUESTION_ASKED: QuestionFacts,
    OccurrenceKind.QUESTION_ANSWERED: AnswerFacts,
    OccurrenceKind.QUESTION_EXPIRED: AnswerFacts,
    OccurrenceKind.ATTEMPT_FAILED: FailureFacts,
    OccurrenceKind.ATTEMPT_TIMED_OUT: FailureFacts,
    OccurrenceKind.ATTEMPT_REVIEWED: ReviewFacts,
    OccurrenceKind.ATTEMPT_REJECTED: FailureFacts,
    OccurrenceKind.ATTEMPT_DECLINED: DeclineFacts,
    OccurrenceKind.ATTEMPT_CHARGED: ChargeFacts,
    OccurrenceKind.BUDGET_CHANGED: BudgetFacts,
    OccurrenceKind.SLOT_HELD: HeldSlotFacts,
    OccurrenceKind.WORKER_JOINED: JoinFacts,
    OccurrenceKind.WORKER_RETURNED: ReturnFacts,
    OccurrenceKind.WORKER_QUARANTINED: QuarantineFacts,
}
"""The type of the facts by kind of occurrence. Other kinds have a reason as text, or no facts."""


class Occurrence(NamedTuple):
    """An event that the board records; a task's story is a list of them.

    Args:
        at: the board's time, in seconds.
        what: the kind of occurrence.
        task_id: the task's id, or None.
        attempt: the number of the attempt, or 0.
        worker: the worker's name, or "".
        facts: typed facts, or a reason as text that is only shown; None for nothing.
            `describe_facts` formats them.
    """

    at: float
    what: OccurrenceKind
    task_id: TaskId | None = None
    attempt: int = 0
    worker: str = ""
    facts: Facts | str | None = None


def move_occurrence(occurrence: Occurrence, at: float, later_s: float) -> Occurrence:
    """An occurrence as it is after the board has moved to another clock.

    Args:
        occurrence: the occurrence.
        at: its time by the new clock, in seconds.
        later_s: by how much the new clock is ahead of the old one, in seconds.
    """
    facts = occurrence.facts
    if isinstance(facts, DelayFacts):
        facts = facts._replace(until=facts.until + later_s)
    return occurrence._replace(at=at, facts=facts)


Watcher: TypeAlias = Callable[[Occurrence], None]
"""Called with each occurrence as it happens; must not block."""
