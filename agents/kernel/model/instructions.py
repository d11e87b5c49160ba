"""Instructions: what the board tells its shell to do, in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from ....messages import Payload, Task, TaskAssignment, TaskId
from .events import WorkerId
from .occurrences import Occurrence


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
