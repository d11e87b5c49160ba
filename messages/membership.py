"""How workers come, stay and go: hello, welcome, refusal, heartbeat, goodbye, shutdown."""

from __future__ import annotations

from pydantic import Field

from .task import TaskId
from .work import Message, Name, Note
from .worker_profile import WorkerProfile

MAX_HOLDING = 100_000
"""How many attempts a worker may hold, with those whose results were not acknowledged."""


class Hello(WorkerProfile, Message):
    """A worker asks to be let in; it is repeated until a `Welcome` or a `Refusal` comes.

    It says all that a `WorkerProfile` does, and besides:

    Args:
        session: the worker's own number, new at every start of it.
        call: counts up, within a session, with each conversation that the worker begins; an older
            one is out of date.
        holding: the attempts, as task and number, that it runs, or whose results it has not been
            able to hand in; what a manager leased to it besides has never reached it.
    """

    session: str = Field(max_length=64)
    call: int = Field(default=1, ge=1)
    holding: tuple[tuple[TaskId, int], ...] = Field(default=(), max_length=MAX_HOLDING)


class Welcome(Message):
    """The manager has let a worker in.

    Args:
        manager: the manager's name.
        worker: the name under which the worker is known.
        session: the manager's number for this conversation.
        admission: counts up whenever a worker is let in; an older one is out of date.
        worker_session: the worker's number, given back, so that it knows which Hello this answers.
        worker_call: the Hello's call, likewise.
        heartbeat_s: how often each side is to be heard, in seconds.
        lost_after_s: after how many seconds of silence a side counts as lost.
        blob_threshold_bytes: how long a result may be, encoded, to come in a frame; what is longer
            is to come as a `Parcel`. None lets everything come in frames.
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
    """The manager does not let a worker in.

    Args:
        worker_session: which Hello this answers.
        reason: why, for people.
    """

    worker_session: str = Field(max_length=64)
    reason: Note


class Heartbeat(Message):
    """A sign of life on a link that is otherwise silent.

    Args:
        running: how many tasks the sender runs.
    """

    running: int = Field(default=0, ge=0)


class Goodbye(Message):
    """A worker leaves of its own will; what it has not finished goes to others.

    Args:
        reason: why, for people.
    """

    reason: Note = ""


class Shutdown(Message):
    """The manager ends the run, or needs one worker no longer; whoever gets it stops.

    Args:
        reason: why, for people.
        goes_on: whether the manager goes on, and so waits for the worker's goodbye.
    """

    reason: Note = ""
    goes_on: bool = False
