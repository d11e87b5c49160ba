"""The inquiries and requests that any agent of the workspace may send to a manager."""

from __future__ import annotations

from pydantic import Field

from .task import TaskId
from .work import Message, Note


class Inquiry(Message):
    """Asks the manager to explain the status of a task.

    Args:
        task_id: the task's id.
        session: an id chosen by the sender, which the answer contains.
    """

    task_id: TaskId
    session: str = Field(max_length=64)


class Answer(Message):
    """The manager's answer to an `Inquiry`.

    Args:
        session: the session of the inquiry.
        lines: the lines of the answer.
        found: False if the manager has no such task.
        at: the manager's time, in seconds since 1970.
    """

    session: str = Field(max_length=64)
    lines: tuple[str, ...] = ()
    found: bool = True
    at: float | None = Field(default=None, allow_inf_nan=False)


class SkillsInquiry(Message):
    """Asks the manager for a part of what it has learned of its workers' skills.

    Args:
        session: an id chosen by the sender, which the answer contains.
        after: the last worker of the part before, in the order of names; "" for the first part.
    """

    session: str = Field(max_length=64)
    after: str = Field(default="", max_length=200)


class SkillsAnswer(Message):
    """The manager's answer to a `SkillsInquiry`.

    Args:
        session: the session of the inquiry.
        after: the worker that the inquiry named.
        content: the content of a skills file with some of the workers, as JSON; empty if there is
            a problem.
        is_last: whether no more workers follow.
        problem: why there is nothing, for example since the policy learns no skills.
    """

    session: str = Field(max_length=64)
    after: str = Field(default="", max_length=200)
    content: bytes = b""
    is_last: bool = True
    problem: str = Field(default="", max_length=1_000)


MAX_RETRIED_PER_REQUEST = 100
"""How many tasks a `RetryRequest` may name."""


class RetryRequest(Message):
    """Asks the manager to try settled tasks again; repeated until it is answered.

    Args:
        session: an id chosen by the sender, which the answer contains.
        tasks: the tasks, each with its possible ids: the first that the manager knows counts.
            Empty for all failed tasks.
        reason: who asks for it, or why.
    """

    session: str = Field(max_length=64)
    tasks: tuple[tuple[TaskId, ...], ...] = Field(default=(), max_length=MAX_RETRIED_PER_REQUEST)
    reason: Note = "by the user"


class RetryAnswer(Message):
    """The manager's answer to a `RetryRequest`.

    Args:
        session: the session of the request.
        retried: how many tasks begin anew, with those that were cancelled for their sake.
        problem: why none does; empty if there was no problem.
    """

    session: str = Field(max_length=64)
    retried: int = Field(default=0, ge=0)
    problem: str = Field(default="", max_length=10_000)
