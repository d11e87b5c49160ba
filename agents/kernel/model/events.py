"""Events: what happened to a run, for the board to handle.

All are plain values in the past tense. `Board.handle(event, now)` turns each into instructions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from ....messages import Task, TaskId, TaskProgress, TaskResult

WorkerId: TypeAlias = str
"""Where a worker is reached: its address on the link, new at every start. Its name stays."""


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
        name: its name.
        skill_level: what it can do.
        specialties: types of task for which its skill counts more.
        slots: how many tasks it runs at once.
        task_types: types it has handlers for; None takes any.
        session: the worker's number for this start of it.
        call: counts up, within a session, with each conversation that it begins.
        holding: the attempts that it runs, or whose results it has not been able to hand in.
    """

    worker_id: WorkerId
    name: str
    skill_level: int = 1
    specialties: frozenset[str] = frozenset()
    slots: int = 1
    task_types: frozenset[str] | None = None
    session: str = ""
    call: int = 1
    holding: frozenset[tuple[TaskId, int]] = frozenset()


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
    """The user wants a failed task to be tried again, as a new task; the failed one stays failed.

    The id of the new task is that of the failed one with "-recovery-" and a number behind it.

    Args:
        task_id: the failed task.
    """

    task_id: TaskId


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
