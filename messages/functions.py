"""What a worker tells of the functions behind its task types: descriptions and JSON schemas."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from .record import Record
from .task import Payload
from .work import Message

MAX_FUNCTIONS = 1_000

FunctionText = Annotated[str, StringConstraints(max_length=4_000)]


class TaskFunction(Record):
    """The function behind a task type.

    Args:
        type: the type of its tasks.
        description: what it does, for people and models.
        parameters: the JSON schema of its arguments, which are the data of a task.
        is_checked: whether data that do not match the schema are refused when a task is added.
            Otherwise the function itself decides what it takes.
    """

    type: str = Field(max_length=1_000)
    description: FunctionText = ""
    parameters: dict[str, Payload] = Field(default_factory=dict)
    is_checked: bool = False


class WorkerFunctions(Message):
    """A worker tells the functions behind its task types, each time that it has joined.

    Args:
        functions: those whose arguments are known.
    """

    functions: tuple[TaskFunction, ...] = Field(default=(), max_length=MAX_FUNCTIONS)
