"""What manager and worker say about tasks: assignment, progress, result, cancel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, StringConstraints

from .record import Record
from .rule import Rule
from .task import MAX_NAME_CHARACTERS, Payload, Task, TaskId

Name = Annotated[
    str,
    StringConstraints(pattern=r"\S", max_length=MAX_NAME_CHARACTERS),
    Rule(f"must be text that is not blank, {MAX_NAME_CHARACTERS} characters at most"),
]
"""The name of a worker or manager: not blank, 200 characters at most."""

Note = Annotated[str, StringConstraints(max_length=10_000)]
"""A remark for people, 10,000 characters at most."""

TraceParent = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"),
    Rule("must be a traceparent of version 00 as W3C Trace Context writes it"),
]
"""Which span of which trace something belongs to, such as "00-…32 digits…-…16 digits…-01"."""


MAX_ASKED = 100_000
"""How many attempts a worker may be asked about at once."""


Reduced: TypeAlias = tuple[Callable[..., BaseModel], tuple[object, ...]]
"""What `pickle` asks for: a function, and the arguments with which it makes the object again."""

_reducers: list[Callable[[Message], Reduced]] = []


class Message(Record):
    """Root of what travels between manager and workers."""

    model_config = ConfigDict(extra="forbid")

    def __reduce__(self) -> Reduced:
        """Pickle as a call of our codec, so that it can be read without being unpickled."""
        return _reducers[-1](self)


def register_reducer(reducer: Callable[[Message], Reduced]) -> None:
    """Say how messages are pickled; the codec does, which knows them all."""
    _reducers.append(reducer)


class TaskAssignment(Message):
    """The manager gives a task to one worker.

    Args:
        task: the task itself.
        assigned_at: when, in seconds since 1970.
        timeout: seconds this attempt may take, or None for no limit.
        attempt: which attempt at the task this is, from 1.
        worker: the name of the worker it is meant for; nobody else runs it.
        inputs: the outputs of the tasks it depends on, by their ids.
        traceparent: the trace that it belongs to, as W3C Trace Context writes it; None without one.
    """

    task: SerializeAsAny[Task] = Field(kw_only=False)
    assigned_at: int = Field(default=0, kw_only=False)
    timeout: float | None = Field(default=None, kw_only=False)
    attempt: int = Field(default=1, ge=1)
    worker: str = ""
    inputs: dict[TaskId, Payload] = Field(default_factory=dict)
    traceparent: TraceParent | None = None


class TaskResult(Message):
    """How one attempt at a task ended.

    Args:
        task_id: which task.
        worker: the name of the worker that did it.
        success: whether it was done.
        execution_time: seconds it took.
        error_message: why it failed, as "kind: detail", such as "ValueError: no such column";
            None on success.
        attempt: which attempt, from 1.
        output: what the handler returned.
    """

    task_id: TaskId = Field(kw_only=False)
    worker: str = Field(kw_only=False)
    success: bool = Field(kw_only=False)
    execution_time: float = Field(default=0.0, ge=0, allow_inf_nan=False, kw_only=False)
    error_message: str | None = Field(default=None, kw_only=False)
    attempt: int = Field(default=1, ge=1)
    output: Payload = None


class TaskProgress(Message):
    """How far a worker has come with a task.

    Args:
        task_id: which task.
        worker: who works on it.
        attempt: which attempt, from 1.
        percent: 0 to 100.
        note: a remark for people.
    """

    task_id: TaskId
    worker: str
    attempt: int = Field(default=1, ge=1)
    percent: float = Field(ge=0, le=100, allow_inf_nan=False)
    note: Note = ""


class CancelTask(Message):
    """The manager tells a worker to stop an attempt.

    Args:
        task_id: which task.
        attempt: which attempt; others go on.
        reason: why, as "kind: detail".
    """

    task_id: TaskId
    attempt: int = Field(default=1, ge=1)
    reason: Note = ""


class RecallTasks(Message):
    """The manager asks a worker for attempts back that wait there for a slot.

    Args:
        attempts: which, as task and number; the worker goes on with those that it has begun.
    """

    attempts: tuple[tuple[TaskId, int], ...]


class ReturnTasks(Message):
    """A worker gives attempts back that it has not begun, and will not begin.

    So does it with those that it is to stop, or is asked about, if it holds neither them nor a
    result of them.

    Args:
        attempts: which, as task and number.
    """

    attempts: tuple[tuple[TaskId, int], ...]


class AskAboutAttempts(Message):
    """The manager asks a worker about attempts that it should have held for a while.

    Args:
        attempts: which, as task and number; the worker answers with `ReturnTasks` for those of
            which it holds neither the work nor a result, and with nothing if there are none.
    """

    attempts: tuple[tuple[TaskId, int], ...] = Field(max_length=MAX_ASKED)
