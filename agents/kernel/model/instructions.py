"""Instructions: what the board tells its shell to do, in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from ....messages import Payload, Task, TaskAssignment, TaskId, TaskResult
from .events import WorkerId
from .occurrences import Occurrence


@dataclass(frozen=True, slots=True)
class SendWelcome:
    """Admit a worker; repeated if its join request is repeated."""

    worker_id: WorkerId
    name: str
    session: str
    call: int = 1


@dataclass(frozen=True, slots=True)
class RefuseWorker:
    """Tell a worker that it is not admitted, and why."""

    worker_id: WorkerId
    session: str
    reason: str


class SendAssignment(NamedTuple):
    """Assign a task to a worker.

    Args:
        worker_id: the worker's address.
        task: the task.
        assigned_at: the time of the assignment, in whole seconds.
        timeout: the timeout of the attempt, in seconds; None for no limit.
        attempt: the number of the attempt, from 1.
        worker: the worker's name.
        inputs: the outputs of the tasks it depends on, by their ids.
        packed: the packed task, if it was packed when it was added.
        reviewed: the result to review; None if the task is to be run.
        upstream_errors: why tasks that it depends on were not completed, by their ids; None if all
            of them were.
    """

    worker_id: WorkerId
    task: Task
    assigned_at: int
    timeout: float | None
    attempt: int
    worker: str
    inputs: dict[TaskId, Payload]
    packed: bytes | None = None
    reviewed: TaskResult | None = None
    upstream_errors: dict[TaskId, str] | None = None

    @property
    def assignment(self) -> TaskAssignment:
        """The message to the worker; created on demand, because a packed task does not need it."""
        return TaskAssignment(
            task=self.task,
            assigned_at=self.assigned_at,
            timeout=self.timeout,
            attempt=self.attempt,
            worker=self.worker,
            inputs=self.inputs,
            reviewed=self.reviewed,
            upstream_errors=self.upstream_errors or {},
        )


@dataclass(frozen=True, slots=True)
class SendCancel:
    """Tell a worker to stop an attempt."""

    worker_id: WorkerId
    task_id: TaskId
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class SendGrant:
    """Let a suspended attempt count for its limits again, or ask a worker for it not to."""

    worker_id: WorkerId
    task_id: TaskId
    attempt: int
    is_given: bool


@dataclass(frozen=True, slots=True)
class SendRecall:
    """Ask a worker to return those of these attempts that it has not begun."""

    worker_id: WorkerId
    attempts: tuple[tuple[TaskId, int], ...]


@dataclass(frozen=True, slots=True)
class AskAboutLeases:
    """Ask a worker to return those of these attempts that it does not hold."""

    worker_id: WorkerId
    attempts: tuple[tuple[TaskId, int], ...]


@dataclass(frozen=True, slots=True)
class DropWorker:
    """Close the connection to a worker that is lost or has left."""

    worker_id: WorkerId


@dataclass(frozen=True, slots=True)
class RetireWorker:
    """Tell a worker that holds no tasks to stop; it gets no more tasks."""

    worker_id: WorkerId


@dataclass(frozen=True, slots=True)
class StartAssigning:
    """Begin assigning: all expected workers have joined, or the wait for them is over.

    The shell answers with `AssigningBegun`, at once or when the manager's custom code starts it.
    """


@dataclass(frozen=True, slots=True)
class ComeToRest:
    """Every task is settled or held back.

    The shell answers with `RestConfirmed` when the user's result handlers have ended. Then the run
    ends, or the held tasks are released.
    """


@dataclass(frozen=True, slots=True)
class EndRun:
    """End the run: every task is settled, or the run can't continue.

    Args:
        failure: why the run failed, or None.
    """

    failure: str | None = None


Instruction: TypeAlias = (
    SendWelcome
    | RefuseWorker
    | SendAssignment
    | SendCancel
    | SendGrant
    | SendRecall
    | AskAboutLeases
    | DropWorker
    | RetireWorker
    | StartAssigning
    | ComeToRest
    | EndRun
    | Occurrence
)
