"""What goes into the board and what comes out of it.

Events are what has happened (past tense). `Board.handle(event, now)` turns each into instructions:
what the shell must now do (imperative), and occurrences: what the board took note of, for whoever
watches the run. All are plain values; none does anything by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, TypeAlias

from ....messages import (
    Payload,
    Task,
    TaskAssignment,
    TaskId,
    TaskProgress,
    TaskResult,
    WorkerProfile,
)

WorkerId: TypeAlias = str
"""Where a worker is reached: its address on the link, new at every start. Its name stays."""


# ---------------------------------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class TasksAdded:
    """New tasks, which may depend on one another and on earlier ones; all are taken, or none.

    Args:
        tasks: the tasks.
        packed: the same as `pack_task` packs them, None for one that is large; or nothing.
    """

    tasks: tuple[Task, ...]
    packed: tuple[bytes | None, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkerJoined:
    """A worker asked to be let in (again and again, until it is answered).

    Args:
        worker_id: where it is reached.
        profile: what it says of itself.
        session: the worker's number for this start of it.
        call: counts up, within a session, with each conversation that it begins.
        holding: the attempts that it runs, or whose results it has not been able to hand in.
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
    """Something, anything, arrived from a worker."""

    worker_id: WorkerId


@dataclass(frozen=True, slots=True)
class WorkerLeft:
    """A worker said goodbye, or the link knows that it is gone."""

    worker_id: WorkerId
    reason: str = "left"


@dataclass(frozen=True, slots=True)
class AssigningBegun:
    """Whoever embeds the manager lets the assigning begin, all workers there or not."""


class HandOut(NamedTuple):
    """One task that a manager's own `assign_tasks` hands out.

    Args:
        task_id: which task.
        timeout_s: seconds that an attempt may take from now on; None leaves that as it is.
        worker: the name of the only worker that may have it, or "" for any.
    """

    task_id: TaskId
    timeout_s: float | None = None
    worker: str = ""


@dataclass(frozen=True, slots=True)
class TasksHandedOut:
    """Whoever embeds the manager hands out some of the tasks.

    If the assigning has not begun, it begins with these, and the other tasks are held back until
    they are handed out too, or until `AssigningBegun` or `RestConfirmed` releases all of them.
    """

    orders: tuple[HandOut, ...]


@dataclass(frozen=True, slots=True)
class RestConfirmed:
    """The answer to `ComeToRest`: whoever embeds the manager has nothing to add for now."""


@dataclass(frozen=True, slots=True)
class ProgressReported:
    """A worker told how far it has come."""

    worker_id: WorkerId
    progress: TaskProgress


@dataclass(frozen=True, slots=True)
class ResultReceived:
    """A worker told how an attempt ended; perhaps late, perhaps twice."""

    worker_id: WorkerId
    result: TaskResult


@dataclass(frozen=True, slots=True)
class ResultsReceived:
    """A worker told of several attempts at once; what that frees is handed out together."""

    worker_id: WorkerId
    results: tuple[TaskResult, ...]


@dataclass(frozen=True, slots=True)
class TasksGivenBack:
    """A worker gave back attempts that it had been asked for or about, and does not hold."""

    worker_id: WorkerId
    attempts: tuple[tuple[TaskId, int], ...]


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """The user wants a task not to be done."""

    task_id: TaskId
    reason: str = "by the user"


@dataclass(frozen=True, slots=True)
class PriorityChanged:
    """The user wants a waiting task to come sooner or later."""

    task_id: TaskId
    priority: int


@dataclass(frozen=True, slots=True)
class TasksForgotten:
    """Whoever keeps the run needs some settled tasks no more; all are forgotten, or none.

    A new task is not to bear the id of a forgotten one: what still arrives of that one would be
    taken for its.
    """

    task_ids: tuple[TaskId, ...]


@dataclass(frozen=True, slots=True)
class RecoveryRequested:
    """The user wants a failed task to be tried once more; what has failed stays failed.

    Args:
        task_id: the failed task.
        recovery_id: the id of the task that takes its place.
    """

    task_id: TaskId
    recovery_id: TaskId


@dataclass(frozen=True, slots=True)
class RetirementRequested:
    """A worker is needed no longer; one that holds work is not let go."""

    worker: str


@dataclass(frozen=True, slots=True)
class StopRequested:
    """The user ends the run, settled or not; what is unfinished stays as it is.

    Args:
        reason: why.
        is_failure: whether it is not the user who ends it: it can't go on.
    """

    reason: str = "stopped"
    is_failure: bool = False


@dataclass(frozen=True, slots=True)
class ListeningStarted:
    """From now on workers can come; the patience with those that don't counts from here.

    A run that was restored goes on from here; until then it stands still.
    """


@dataclass(frozen=True, slots=True)
class ListeningInterrupted:
    """Whoever drives the board could take in nothing for a while; what was said meanwhile waits.

    Args:
        lasted_s: for how many seconds since it was last told, or since the beginning.
    """

    lasted_s: float


@dataclass(frozen=True, slots=True)
class TimePassed:
    """The alarm that `Board.next_alarm` asked for went off; nothing else happened."""


Event: TypeAlias = (
    TasksAdded
    | WorkerJoined
    | WorkerHeard
    | WorkerLeft
    | AssigningBegun
    | TasksHandedOut
    | RestConfirmed
    | ProgressReported
    | ResultReceived
    | ResultsReceived
    | TasksGivenBack
    | CancelRequested
    | PriorityChanged
    | RecoveryRequested
    | RetirementRequested
    | TasksForgotten
    | ListeningStarted
    | StopRequested
    | ListeningInterrupted
    | TimePassed
)


# ---------------------------------------------------------------------------------- instructions


@dataclass(frozen=True, slots=True)
class SendWelcome:
    """Let a worker in; repeated if it asks again."""

    worker_id: WorkerId
    name: str
    session: str
    call: int = 1


@dataclass(frozen=True, slots=True)
class RefuseWorker:
    """Tell a worker that it is not let in, and why."""

    worker_id: WorkerId
    session: str
    reason: str


class SendAssignment(NamedTuple):
    """Give a worker a task.

    Args:
        worker_id: where the worker is reached.
        task: the task.
        assigned_at: when, in whole seconds.
        timeout: seconds this attempt may take, or None for no limit.
        attempt: which attempt it is, from 1.
        worker: the worker's name.
        inputs: the outputs of the tasks it depends on, by their ids.
        packed: the task as it was packed when it was added, if it was.
    """

    worker_id: WorkerId
    task: Task
    assigned_at: int
    timeout: float | None
    attempt: int
    worker: str
    inputs: dict[TaskId, Payload]
    packed: bytes | None = None

    @property
    def assignment(self) -> TaskAssignment:
        """The message that tells the worker, made when it is asked for; mostly nobody does."""
        return TaskAssignment(
            task=self.task,
            assigned_at=self.assigned_at,
            timeout=self.timeout,
            attempt=self.attempt,
            worker=self.worker,
            inputs=self.inputs,
        )


@dataclass(frozen=True, slots=True)
class SendCancel:
    """Tell a worker to stop an attempt."""

    worker_id: WorkerId
    task_id: TaskId
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class SendRecall:
    """Ask a worker for attempts back that it has not begun."""

    worker_id: WorkerId
    attempts: tuple[tuple[TaskId, int], ...]


@dataclass(frozen=True, slots=True)
class AskAboutLeases:
    """Ask a worker which of these attempts it does not hold; it gives those back."""

    worker_id: WorkerId
    attempts: tuple[tuple[TaskId, int], ...]


@dataclass(frozen=True, slots=True)
class DropWorker:
    """Forget the conversation with a worker that is lost or has left."""

    worker_id: WorkerId


@dataclass(frozen=True, slots=True)
class RetireWorker:
    """Tell a worker that holds nothing to stop; it is given nothing any more."""

    worker_id: WorkerId


@dataclass(frozen=True, slots=True)
class StartAssigning:
    """All expected workers are there (or the wait is over): let the assigning begin.

    The shell answers with `AssigningBegun`, at once or when whoever embeds it says so.
    """


@dataclass(frozen=True, slots=True)
class ComeToRest:
    """Every task is settled, or only tasks that are held back are left.

    The shell answers with `RestConfirmed` when all that the user does about the results is done.
    Then the run ends, or the tasks that are held back are handed out.
    """


@dataclass(frozen=True, slots=True)
class EndRun:
    """Every task is settled, or the run can't go on.

    Args:
        failure: why the run could not be carried through, or None.
    """

    failure: str | None = None


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


class Occurrence(NamedTuple):
    """Something the board took note of; a task's story is a list of them.

    Args:
        at: when, in the board's time (seconds).
        what: what kind of thing happened.
        task_id: which task, if one.
        attempt: which attempt, or 0.
        worker: which worker's name, or "".
        detail: the rest, for people.
    """

    at: float
    what: OccurrenceKind
    task_id: TaskId | None = None
    attempt: int = 0
    worker: str = ""
    detail: str = ""


Watcher: TypeAlias = Callable[[Occurrence], None]
"""Called with each occurrence as it happens; must not wait."""

Instruction: TypeAlias = (
    SendWelcome
    | RefuseWorker
    | SendAssignment
    | SendCancel
    | SendRecall
    | AskAboutLeases
    | DropWorker
    | RetireWorker
    | StartAssigning
    | ComeToRest
    | EndRun
    | Occurrence
)
