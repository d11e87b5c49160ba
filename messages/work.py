"""The messages about tasks: assignment, progress, result, cancellation and so on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializeAsAny,
    StringConstraints,
)

from .errors import TaskFailed
from .record import Record
from .rule import Rule
from .task import MAX_NAME_CHARACTERS, DeclaredT, Payload, Task, TaskId
from .times import WaitSeconds
from .usage import ModelUsage
from .wording import elide_middle, show

Name = Annotated[
    str,
    StringConstraints(pattern=r"\S", max_length=MAX_NAME_CHARACTERS),
    Rule(f"must be text that is not blank, {MAX_NAME_CHARACTERS} characters at most"),
]
"""The name of a worker or manager: not blank, 200 characters at most."""

Note = Annotated[str, StringConstraints(max_length=10_000)]
"""Text for people, at most 10,000 characters."""

TraceParent = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"),
    Rule("must be a traceparent of version 00 as W3C Trace Context writes it"),
]
"""A W3C traceparent, such as "00-…32 digits…-…16 digits…-01"."""


MAX_TRACEBACK_CHARACTERS = 8_000
"""Of a longer traceback the middle is left out."""


def _shorten(text: str) -> str:
    return elide_middle(text, MAX_TRACEBACK_CHARACTERS)


TracebackText = Annotated[str, AfterValidator(_shorten)]
"""A traceback as text, `MAX_TRACEBACK_CHARACTERS` at most."""

LimitGrant: TypeAlias = Literal["kept", "returned", "wanted"]
"""Whether limits count an attempt that waits, and whether it wants them to."""

MAX_ASKED = 100_000
"""How many attempts one `AskAboutAttempts` may contain."""


Reduced: TypeAlias = tuple[Callable[..., BaseModel], tuple[object, ...]]
"""What `pickle` requires: a function and its arguments, which create the object again."""

_reducers: list[Callable[[Message], Reduced]] = []


class Message(Record):
    """The base class of all messages between manager and workers."""

    model_config = ConfigDict(extra="forbid")

    def __reduce__(self) -> Reduced:
        """Pickle as a call of Muster's codec, so that a receiver need not unpickle it."""
        return _reducers[-1](self)


def register_reducer(reducer: Callable[[Message], Reduced]) -> None:
    """Set how messages are pickled; the codec calls this when it is imported."""
    _reducers.append(reducer)


class TaskResult(Message):
    """The result of one attempt at a task.

    Args:
        task_id: the task's id.
        worker: the name of the worker that ran it.
        success: whether the attempt succeeded.
        execution_time: its duration in seconds.
        error_message: why it failed, as "kind: detail", such as "ValueError: no such column";
            None on success.
        attempt: the number of the attempt, from 1.
        output: the return value of the handler.
        cost: what the attempt cost; None if only the worker's rates tell.
        cost_unit: the unit of `cost`, such as "USD"; "" for the manager's.
        quality: the grade of the output, 0 to 1; None for none.
        declined: whether the worker declined the task, which is no failure. `error_message` has the
            reason.
        error_traceback: the traceback of the exception that a handler raised, as text; None if
            there is none, or its worker sends none. Of a long one the middle is left out.
        retry_after_s: after how many seconds the handler wants to be called again; None if it did
            not ask for it.
        gives_up: whether no further attempt shall follow a failed one.
        usage: what the attempt has used of a model; None for none.
    """

    task_id: TaskId = Field(kw_only=False)
    worker: str = Field(kw_only=False)
    success: bool = Field(kw_only=False)
    execution_time: float = Field(default=0.0, ge=0, allow_inf_nan=False, kw_only=False)
    error_message: str | None = Field(default=None, kw_only=False)
    attempt: int = Field(default=1, ge=1)
    output: Payload = None
    cost: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    cost_unit: str = Field(default="", max_length=20)
    quality: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    declined: bool = False
    error_traceback: TracebackText | None = None
    retry_after_s: WaitSeconds | None = None
    gives_up: bool = False
    usage: ModelUsage | None = None

    def unwrap(self) -> Payload:
        """The output of a successful attempt.

        Raises:
            TaskFailed: the attempt failed or was declined; it has all that is known of the error.
        """
        if self.success and not self.declined:
            return self.output
        raise TaskFailed(
            self.task_id,
            self.error_message or "failed: no reason given",
            traceback=self.error_traceback,
            worker=self.worker,
            attempts=self.attempt,
        )

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        # Only notebooks need it.
        from .html_table import html_table  # noqa: PLC0415

        outcome = "declined" if self.declined else "completed" if self.success else "failed"
        shown = show(self.output) if self.success else self.error_message
        row = (self.task_id, outcome, self.worker, f"{self.execution_time:.3g} s", shown)
        head = ("task", "status", "worker", "time", "output" if self.success else "error")
        return html_table("result", head, [row], 1)

    def output_as(self, declared: type[DeclaredT]) -> DeclaredT:
        """The output as a declared type, such as a dataclass; see `from_plain`.

        Raises:
            InvalidInput: the output is not of this type.
        """
        # Most programs declare no types, and need not load what reads them.
        from .declared_types import from_plain  # noqa: PLC0415

        return from_plain(self.output, declared)


class TaskAssignment(Message):
    """The manager gives a task to one worker.

    Args:
        task: the task.
        assigned_at: the time of the assignment, in seconds since 1970.
        timeout: the timeout of this attempt in seconds; None for no limit.
        attempt: the number of the attempt, from 1.
        worker: the name of the worker; no other worker runs it.
        inputs: the outputs of the tasks it depends on, by task id.
        traceparent: the W3C traceparent of the attempt, or None.
        reviewed: the result that the worker reviews; None if it runs the task.
        upstream_errors: why tasks that it depends on were not completed, by task id; empty unless
            its `run_if` allows for that.
    """

    task: SerializeAsAny[Task] = Field(kw_only=False)
    assigned_at: int = Field(default=0, kw_only=False)
    timeout: float | None = Field(default=None, kw_only=False)
    attempt: int = Field(default=1, ge=1)
    worker: str = ""
    inputs: dict[TaskId, Payload] = Field(default_factory=dict)
    traceparent: TraceParent | None = None
    reviewed: TaskResult | None = None
    upstream_errors: dict[TaskId, str] = Field(default_factory=dict)


class TaskProgress(Message):
    """The progress of an attempt.

    Args:
        task_id: the task's id.
        worker: the name of the worker that runs it.
        attempt: the number of the attempt, from 1.
        percent: the progress, 0 to 100.
        note: text for people.
    """

    task_id: TaskId
    worker: str
    attempt: int = Field(default=1, ge=1)
    percent: float = Field(ge=0, le=100, allow_inf_nan=False)
    note: Note = ""


class AttemptSuspended(Message):
    """A worker reports that an attempt waits for something, and that its slot is free meanwhile.

    Args:
        task_id: the task's id.
        attempt: the number of the attempt, from 1.
        reason: what it waits for, as text such as "waits for 3 subtasks".
        grant: whether limits still count it: "kept" if they do, "returned" if they don't, and
            "wanted" if it has what it waited for, and goes on once they count it again.
    """

    task_id: TaskId
    attempt: int = Field(default=1, ge=1)
    reason: Note = ""
    grant: LimitGrant = "kept"


class ChangeGrant(Message):
    """The manager lets an attempt that waits count for its limits again, or no longer.

    Args:
        task_id: the task's id.
        attempt: the number of the attempt, from 1.
        is_given: whether it may go on, as far as limits go; else the worker returns the grant, now
            and each time the attempt waits, and asks for it before the attempt goes on.
    """

    task_id: TaskId
    attempt: int = Field(default=1, ge=1)
    is_given: bool


class AttemptResumed(Message):
    """A worker reports that an attempt that was suspended has a slot again.

    Args:
        task_id: the task's id.
        attempt: the number of the attempt, from 1.
    """

    task_id: TaskId
    attempt: int = Field(default=1, ge=1)


class CancelTask(Message):
    """The manager tells a worker to stop an attempt.

    Args:
        task_id: the task's id.
        attempt: the number of the attempt; others continue.
        reason: the reason, as "kind: detail".
    """

    task_id: TaskId
    attempt: int = Field(default=1, ge=1)
    reason: Note = ""


class RecallTasks(Message):
    """The manager asks a worker to return attempts that wait there for a slot.

    Args:
        attempts: the attempts, as task id and number; the worker keeps those that it has started.
    """

    attempts: tuple[tuple[TaskId, int], ...]


class ReturnTasks(Message):
    """A worker returns attempts that it has not started and will not start.

    It also answers `CancelTask` and `AskAboutAttempts` with this, for attempts of which it has
    neither the work nor a result.

    Args:
        attempts: the attempts, as task id and number.
    """

    attempts: tuple[tuple[TaskId, int], ...]


class AskAboutAttempts(Message):
    """The manager asks a worker about attempts that it should have held for a while.

    Args:
        attempts: the attempts, as task id and number. The worker answers with `ReturnTasks` for
            those of which it has neither the work nor a result, and does not answer if there are
            none.
    """

    attempts: tuple[tuple[TaskId, int], ...] = Field(max_length=MAX_ASKED)
