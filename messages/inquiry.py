"""The inquiry about a task that any agent of the workspace may send to a manager."""

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
