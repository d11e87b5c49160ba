"""The inquiries that any agent of the workspace may send to a manager: about a task, or skills."""

from __future__ import annotations

from pydantic import Field

from .task import TaskId
from .work import Message


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
