"""The messages about the parts of a task's output, which a handler yields one after the other."""

from __future__ import annotations

from pydantic import Field

from .task import TaskId
from .work import Message

MAX_PART_BYTES = 256 * 1024
"""The largest single part, encoded."""


class TaskPart(Message):
    """A part of the output of an attempt that still runs.

    Args:
        task_id: the task's id.
        attempt: the number of the attempt, from 1.
        number: the number of the part within the attempt, from 1.
        part: the part, encoded.
    """

    task_id: TaskId
    attempt: int = Field(default=1, ge=1)
    number: int = Field(ge=1)
    part: bytes = Field(max_length=MAX_PART_BYTES)


class PartsTaken(Message):
    """The manager has taken the parts of an attempt up to this one; the worker may send more.

    Args:
        task_id: the task's id.
        attempt: the number of the attempt, from 1.
        number: the number of the last part.
    """

    task_id: TaskId
    attempt: int = Field(default=1, ge=1)
    number: int = Field(ge=1)
