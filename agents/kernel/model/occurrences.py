"""Occurrences: what the board took note of, with its facts as typed fields.

`occurrence_text.py` puts them into words. No other module makes words of them or reads words back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import NamedTuple, TypeAlias

from ....messages import TaskId


class OccurrenceKind(str, Enum):
    """The kinds of occurrence."""

    TASK_ADDED = "task_added"
    TASK_ASSIGNED = "task_assigned"
    TASK_PROGRESSED = "task_progressed"
    TASK_COMPLETED = "task_completed"
    TASK_FAILED = "task_failed"
    TASK_CANCELLED = "task_cancelled"
    TASK_REQUEUED = "task_requeued"
    TASK_REPRIORITIZED = "task_reprioritized"
    TASK_FORGOTTEN = "task_forgotten"
    ATTEMPT_FAILED = "attempt_failed"
    ATTEMPT_TIMED_OUT = "attempt_timed_out"
    RESULT_IGNORED = "result_ignored"
    SLOT_HELD = "slot_held"
    WORKER_JOINED = "worker_joined"
    WORKER_RETURNED = "worker_returned"
    WORKER_REFUSED = "worker_refused"
    WORKER_LOST = "worker_lost"
    WORKER_QUARANTINED = "worker_quarantined"
    WORKER_RELEASED = "worker_released"
    WORKER_RETIRED = "worker_retired"
    ASSIGNING_BEGUN = "assigning_begun"
    RUN_RESUMED = "run_resumed"
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
    """No connected worker could do it for too long."""
    EXPIRED = "expired"
    """It had not begun in time."""


class FailureFacts(NamedTuple):
    """Why an attempt or a task failed.

    Args:
        cause: what kind of failure it is.
        error: the error message.
    """

    cause: FailureCause
    error: str


class CancellationCause(str, Enum):
    """Why a task was cancelled."""

    REQUESTED = "requested"
    """Somebody asked for it."""
    UPSTREAM = "upstream"
    """A task that it depends on was not completed."""


class CancellationFacts(NamedTuple):
    """Why a task was cancelled.

    Args:
        cause: who or what cancelled it.
        reason: the reason in words.
    """

    cause: CancellationCause
    reason: str


class RequeueCause(str, Enum):
    """Why a task waits again."""

    RETRY = "retry"
    """Its attempt failed or timed out, and it has attempts left."""
    REASSIGNED = "reassigned"
    """Its last attempt failed or timed out, and another worker could do it."""
    WORKER_LOST = "worker_lost"
    ATTEMPT_LOST = "attempt_lost"
    """Its worker does not hold the attempt and has not reported its end."""
    GIVEN_BACK = "given_back"
    """Its worker gave it back before it had begun."""


class RequeueFacts(NamedTuple):
    """Why a task waits again.

    Args:
        cause: why.
        attempts_left: how many attempts it has left after a failure.
    """

    cause: RequeueCause
    attempts_left: int = 0


class PriorityFacts(NamedTuple):
    """How a task's priority changed.

    Args:
        before: the former priority.
        after: the new one.
    """

    before: int
    after: int


class ProgressFacts(NamedTuple):
    """How far an attempt has come.

    Args:
        percent: 0 to 100.
        note: the worker's remark, or "".
    """

    percent: float
    note: str = ""


class HeldSlotFacts(NamedTuple):
    """A slot that an ended attempt still holds.

    Args:
        held_s: for how many seconds since it was told to stop.
        reason: what had happened then, such as "it was cancelled".
    """

    held_s: float
    reason: str


class JoinFacts(NamedTuple):
    """What a worker that joined offers.

    Args:
        skill_level: its skill level.
        slots: how many tasks it runs at once.
    """

    skill_level: int
    slots: int


class ReturnFacts(NamedTuple):
    """What a worker still holds that came back.

    Args:
        leases: how many of its attempts.
    """

    leases: int


class QuarantineFacts(NamedTuple):
    """Why a worker is in quarantine, and for how long.

    Args:
        failures_in_a_row: how many of its attempts failed in a row.
        lasts_s: how long the quarantine lasts, in seconds.
    """

    failures_in_a_row: int
    lasts_s: float


Facts: TypeAlias = (
    FailureFacts
    | CancellationFacts
    | RequeueFacts
    | PriorityFacts
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
    OccurrenceKind.TASK_REPRIORITIZED: PriorityFacts,
    OccurrenceKind.ATTEMPT_FAILED: FailureFacts,
    OccurrenceKind.ATTEMPT_TIMED_OUT: FailureFacts,
    OccurrenceKind.SLOT_HELD: HeldSlotFacts,
    OccurrenceKind.WORKER_JOINED: JoinFacts,
    OccurrenceKind.WORKER_RETURNED: ReturnFacts,
    OccurrenceKind.WORKER_QUARANTINED: QuarantineFacts,
}
"""Which facts an occurrence of a kind has. One of another kind has a reason in words, or none."""


class Occurrence(NamedTuple):
    """Something the board took note of; a task's story is a list of them.

    Args:
        at: when, in the board's time (seconds).
        what: what kind of thing happened.
        task_id: which task, if one.
        attempt: which attempt, or 0.
        worker: which worker's name, or "".
        facts: what else is known: typed facts, or a reason in words that is only passed on and
            shown; None for nothing. `describe_facts` puts it into words.
    """

    at: float
    what: OccurrenceKind
    task_id: TaskId | None = None
    attempt: int = 0
    worker: str = ""
    facts: Facts | str | None = None


Watcher: TypeAlias = Callable[[Occurrence], None]
"""Called with each occurrence as it happens; must not wait."""
