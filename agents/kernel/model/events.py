"""Events: the inputs of the board, such as joins, results and requests.

All are plain values. `Board.handle(event, now)` returns the resulting instructions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from ....messages import (
    AttemptResumed,
    AttemptSuspended,
    Task,
    TaskId,
    TaskProgress,
    TaskResult,
    WorkerProfile,
)
from ....messages.limit import Limit
from ....messages.question import QuestionText
from .schedules import ScheduleTerms

WorkerId: TypeAlias = str
"""A worker's address on the link. It is new at every start of the worker; its name is not."""


@dataclass(frozen=True, slots=True)
class TasksAdded:
    """New tasks, which may depend on one another and on earlier tasks; all are added, or none.

    Args:
        tasks: the tasks.
        packed: each task as `pack_task` packs it, None for a large one; may be empty.
    """

    tasks: tuple[Task, ...]
    packed: tuple[bytes | None, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkerJoined:
    """A worker asked to join; it repeats this until it gets an answer.

    Args:
        worker_id: its address.
        profile: its profile.
        session: identifies this start of the worker.
        call: the number of this conversation within the session.
        holding: the attempts that it runs, or whose results it has not delivered yet.
    """

    worker_id: WorkerId
    profile: WorkerProfile
    session: str = ""
    call: int = 1
    holding: frozenset[tuple[TaskId, int]] = frozenset()

    @property
    def name(self) -> str:
        """The worker's name."""
        return self.profile.name


@dataclass(frozen=True, slots=True)
class WorkerHeard:
    """Any message arrived from a worker.

    Args:
        worker_id: its address.
        is_draining: whether it said that it begins no more tasks, since it is about to leave.
    """

    worker_id: WorkerId
    is_draining: bool = False


@dataclass(frozen=True, slots=True)
class WorkerLeft:
    """A worker left, or the link reports that it is gone.

    Args:
        worker_id: its address.
        reason: why.
        is_orderly: whether it said goodbye, and so has stopped its attempts.
    """

    worker_id: WorkerId
    reason: str = "left"
    is_orderly: bool = False


@dataclass(frozen=True, slots=True)
class AssigningBegun:
    """The assigning begins, whether or not all expected workers have joined."""


class HandOut(NamedTuple):
    """One task that a manager's own `assign_tasks` hands out.

    Args:
        task_id: the task's id.
        timeout_s: the timeout of its attempts from now on, in seconds; None keeps the current one.
        worker: the name of the only worker that may get it, or "" for any.
    """

    task_id: TaskId
    timeout_s: float | None = None
    worker: str = ""


@dataclass(frozen=True, slots=True)
class TasksHandedOut:
    """A manager's own `assign_tasks` hands out some of the tasks.

    If the assigning has not begun, it begins with these. The other tasks are held back until they
    are handed out too, or until `AssigningBegun` or `RestConfirmed` releases all of them.
    """

    orders: tuple[HandOut, ...]


@dataclass(frozen=True, slots=True)
class RestConfirmed:
    """The answer to `ComeToRest`: the manager adds no more tasks for now."""


@dataclass(frozen=True, slots=True)
class ProgressReported:
    """A worker reported the progress of an attempt."""

    worker_id: WorkerId
    progress: TaskProgress


@dataclass(frozen=True, slots=True)
class SuspensionReported:
    """A worker reported that an attempt waits for something and has given back its slot."""

    worker_id: WorkerId
    suspended: AttemptSuspended


@dataclass(frozen=True, slots=True)
class ResumptionReported:
    """A worker reported that an attempt that was suspended has a slot again."""

    worker_id: WorkerId
    resumed: AttemptResumed


@dataclass(frozen=True, slots=True)
class ResultReceived:
    """A worker reported the result of an attempt; it may be late or a duplicate."""

    worker_id: WorkerId
    result: TaskResult


@dataclass(frozen=True, slots=True)
class ResultsReceived:
    """A worker reported several results at once; the slots that become free are filled together."""

    worker_id: WorkerId
    results: tuple[TaskResult, ...]


@dataclass(frozen=True, slots=True)
class TasksGivenBack:
    """A worker returned attempts, after a recall or a question about its leases."""

    worker_id: WorkerId
    attempts: tuple[tuple[TaskId, int], ...]


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """The user cancels a task."""

    task_id: TaskId
    reason: str = "by the user"


@dataclass(frozen=True, slots=True)
class QuestionAsked:
    """The handler of an attempt asks a person, or asks again what it has asked before.

    Args:
        worker_id: the address of its worker.
        task_id: the task.
        attempt: the number of the attempt.
        asked: what it asks.
    """

    worker_id: WorkerId
    task_id: TaskId
    attempt: int
    asked: QuestionText


@dataclass(frozen=True, slots=True)
class QuestionAnswered:
    """A person answers a question of a task.

    Args:
        task_id: the task.
        answer: the answer.
        by: who answers, and where.
        question: the number of the question; None for the only one that is open.
    """

    task_id: TaskId
    answer: str
    by: str
    question: int | None = None


@dataclass(frozen=True, slots=True)
class PriorityChanged:
    """The user changes the priority of a pending task."""

    task_id: TaskId
    priority: int


@dataclass(frozen=True, slots=True)
class RetryRequested:
    """The user wants some failed or cancelled tasks to begin anew; all of them, or none.

    Tasks that were cancelled because they depend on one of them begin anew, too.

    Args:
        task_ids: the tasks.
        reason: who asks for it, or why.
    """

    task_ids: tuple[TaskId, ...]
    reason: str = "by the user"


@dataclass(frozen=True, slots=True)
class TasksForgotten:
    """Some settled tasks are no longer needed; all of them are forgotten, or none.

    A new task must not have the id of a forgotten one, because late messages would be attributed to
    the new task.
    """

    task_ids: tuple[TaskId, ...]


@dataclass(frozen=True, slots=True)
class RecoveryRequested:
    """The user wants to run a failed task again, as a new task; the failed one stays failed.

    The id of the new task is that of the failed one, followed by "-recovery-" and a number.

    Args:
        task_id: the failed task.
    """

    task_id: TaskId


@dataclass(frozen=True, slots=True)
class RetirementRequested:
    """A worker is no longer needed; a worker with running tasks can't be retired."""

    worker: str


@dataclass(frozen=True, slots=True)
class DrainRequested:
    """A worker is to get no more tasks, and to finish those it has.

    Args:
        worker: its name.
        leaves: whether it is told to stop once it has finished them.
    """

    worker: str
    leaves: bool = True


@dataclass(frozen=True, slots=True)
class DrainEnded:
    """A worker that was drained may get tasks again."""

    worker: str


@dataclass(frozen=True, slots=True)
class PauseRequested:
    """No more tasks are assigned until `PauseEnded`; those that run go on."""


@dataclass(frozen=True, slots=True)
class PauseEnded:
    """Tasks are assigned again."""


@dataclass(frozen=True, slots=True)
class ClosingBegun:
    """No more tasks are assigned, since the run is about to be stopped; this is not stored."""


@dataclass(frozen=True, slots=True)
class StopRequested:
    """The run is stopped; unfinished tasks keep their status.

    Args:
        reason: the reason.
        is_failure: whether the run is stopped because it can't continue.
    """

    reason: str = "stopped"
    is_failure: bool = False


@dataclass(frozen=True, slots=True)
class BudgetChanged:
    """The user changes what the run may cost.

    Args:
        budget: what all attempts together may cost; None for no limit.
    """

    budget: float | None


@dataclass(frozen=True, slots=True)
class LimitsChanged:
    """The user changes the limits; what has begun counts for the new ones, too.

    Args:
        limits: all limits from now on.
        weights: the weights of keys from now on; None to keep them.
    """

    limits: tuple[Limit, ...]
    weights: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class ScheduleDeclared:
    """A schedule is active from now on; one that is known continues where it was.

    Args:
        name: its name.
        terms: when it is due.
        at: the time of the wall clock, in seconds since 1970.
    """

    name: str
    terms: ScheduleTerms
    at: float


@dataclass(frozen=True, slots=True)
class ScheduleCameDue:
    """A due time of a schedule is made or passed over; one that is over already changes nothing.

    Args:
        name: the schedule's name.
        due: the due time, in seconds since 1970.
        tasks: its tasks; none if it is passed over.
        packed: each task as `pack_task` packs it.
        missed: how many due times before it, or with it, were missed.
        skipped: how many were passed over because earlier tasks are not settled.
        failure: why its tasks could not be made, or "".
    """

    name: str
    due: float
    tasks: tuple[Task, ...] = ()
    packed: tuple[bytes | None, ...] = ()
    missed: int = 0
    skipped: int = 0
    failure: str = ""


@dataclass(frozen=True, slots=True)
class ScheduleRemoved:
    """A schedule makes no more tasks, and is forgotten."""

    name: str


@dataclass(frozen=True, slots=True)
class ListeningStarted:
    """From now on workers can join; the timeout for missing workers begins.

    A restored run, which is suspended until then, is resumed.
    """


@dataclass(frozen=True, slots=True)
class ListeningInterrupted:
    """The shell could not receive for a while; the messages of that time are still unread.

    Args:
        lasted_s: the duration since the last such event or the start, in seconds.
    """

    lasted_s: float


@dataclass(frozen=True, slots=True)
class TimePassed:
    """The time of `Board.next_timer_at` has come."""


Event: TypeAlias = (
    TasksAdded
    | WorkerJoined
    | WorkerHeard
    | WorkerLeft
    | AssigningBegun
    | TasksHandedOut
    | RestConfirmed
    | ProgressReported
    | SuspensionReported
    | ResumptionReported
    | ResultReceived
    | ResultsReceived
    | TasksGivenBack
    | CancelRequested
    | QuestionAsked
    | QuestionAnswered
    | PriorityChanged
    | RecoveryRequested
    | RetryRequested
    | RetirementRequested
    | DrainRequested
    | DrainEnded
    | PauseRequested
    | PauseEnded
    | ClosingBegun
    | TasksForgotten
    | BudgetChanged
    | LimitsChanged
    | ScheduleDeclared
    | ScheduleCameDue
    | ScheduleRemoved
    | ListeningStarted
    | StopRequested
    | ListeningInterrupted
    | TimePassed
)
