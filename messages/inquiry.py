"""Questions that anyone in the workspace may put to a running manager."""

from __future__ import annotations

from pydantic import Field

from .task import TaskId
from .work import Message


class Inquiry(Message):
    """Why does a task stand where it stands?

    Args:
        task_id: the task in question.
        session: a number of the asker's own, given back in the answer.
    """

    task_id: TaskId
    session: str = Field(max_length=64)


class Answer(Message):
    """The manager's answer to an `Inquiry`.

    Args:
        session: the inquiry's number.
        lines: the answer, a line each.
        found: False if the manager knows no such task.
        at: the manager's time, in seconds since 1970.
    """

    session: str = Field(max_length=64)
    lines: tuple[str, ...] = ()
    found: bool = True
    at: float | None = Field(default=None, allow_inf_nan=False)
