"""The messages by which workers join and leave: hello, welcome, refusal, heartbeat and so on."""

from __future__ import annotations

from pydantic import Field

from .task import TaskId
from .work import Message, Name, Note
from .worker_profile import WorkerProfile

MAX_HOLDING = 100_000
"""How many attempts a worker may hold, including those with an unacknowledged result."""


class Hello(WorkerProfile, Message):
    """A worker asks to join; it repeats this until it receives a `Welcome` or a `Refusal`.

    It has the fields of `WorkerProfile`, and these:

    Args:
        session: the worker's session id, new at each start of the worker.
        call: a counter within the session that increases with each join request; a lower one is
            outdated.
        holding: the attempts, as task id and number, that the worker runs or whose results are
            not acknowledged. Other attempts that the manager leased to it never arrived.
    """

    session: str = Field(max_length=64)
    call: int = Field(default=1, ge=1)
    holding: tuple[tuple[TaskId, int], ...] = Field(default=(), max_length=MAX_HOLDING)


class Welcome(Message):
    """The manager accepts a worker.

    Args:
        manager: the manager's name.
        worker: the worker's name.
        session: the manager's session id for this worker.
        admission: a counter that increases with each accepted worker; a lower one is outdated.
        worker_session: the session of the `Hello` that this answers.
        worker_call: the call of the `Hello` that this answers.
        heartbeat_s: the interval of heartbeats in both directions, in seconds.
        lost_after_s: after how many seconds without a message a side counts as lost.
        blob_threshold_bytes: the maximum size of an encoded result in a frame; a larger one is
            sent as a `Parcel`. None sends all results in frames.
    """

    manager: Name
    worker: Name
    session: str = Field(max_length=64)
    admission: int = Field(default=1, ge=1)
    worker_session: str = Field(max_length=64)
    worker_call: int = Field(default=1, ge=1)
    heartbeat_s: float = Field(gt=0)
    lost_after_s: float = Field(gt=0)
    blob_threshold_bytes: int | None = Field(default=None, ge=0)


class Refusal(Message):
    """The manager refuses a worker.

    Args:
        worker_session: the session of the `Hello` that this answers.
        reason: the reason, as text.
    """

    worker_session: str = Field(max_length=64)
    reason: Note


class Heartbeat(Message):
    """A heartbeat, sent when there is no other message.

    Args:
        running: how many tasks the sender runs.
        is_draining: whether the sender, a worker, begins no more tasks, since it is about to leave.
    """

    running: int = Field(default=0, ge=0)
    is_draining: bool = False


class Goodbye(Message):
    """A worker leaves; it has stopped its unfinished tasks, which go to other workers.

    Args:
        reason: the reason, as text.
    """

    reason: Note = ""


class Shutdown(Message):
    """The manager ends the run, or no longer needs one worker; the receiver stops.

    Args:
        reason: the reason, as text.
        goes_on: whether the manager continues, and therefore waits for the worker's `Goodbye`.
    """

    reason: Note = ""
    goes_on: bool = False


class ManagerReplaced(Message):
    """Another manager leads the run than before; the receiver asks to join again.

    A manager that leads no more says so to its members. One that has taken over says so to
    everyone, since its predecessor may be dead.

    Args:
        manager: the name of both managers.
        leads: whether the sender leads now; otherwise another one does, or soon will.
    """

    manager: Name
    leads: bool = False
