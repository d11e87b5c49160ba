"""The requests of the HTTP API, as its OpenAPI document describes them."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Discriminator, Field, Tag

from ...messages import Task, TaskId
from ...messages.work import Note
from .api_models import ApiModel

MAX_TASKS_PER_CALL = 1_000
"""How many tasks one call may add, and how many tasks one page of the list has."""

ONE, MANY = "task", "tasks"


def _how_many(body: object) -> str:
    return MANY if isinstance(body, list) else ONE


SubmittedTasks: TypeAlias = Annotated[
    Annotated[Task, Tag(ONE)]
    | Annotated[list[Task], Field(min_length=1, max_length=MAX_TASKS_PER_CALL), Tag(MANY)],
    Discriminator(_how_many),
]


class CancelOrder(ApiModel):
    """A request to cancel a task."""

    reason: Note = "by the user"
    """The reason for people; the task's story contains it."""


class RetryOrder(ApiModel):
    """A request to try a settled task again."""

    reason: Note = "by the user"
    """Who asks for it, or why; the task's story contains it."""


class RetryAllOrder(RetryOrder):
    """A request to try several settled tasks again, all of them or none."""

    tasks: list[TaskId] | None = Field(default=None, min_length=1, max_length=MAX_TASKS_PER_CALL)
    """The tasks; null for all that failed."""


class PauseOrder(ApiModel):
    """A request to assign no more tasks: an empty object."""


class ResumeOrder(ApiModel):
    """A request to assign tasks again."""

    worker: str | None = Field(default=None, max_length=200)
    """A drained worker that is to get tasks again; null ends the pause of the whole run."""


class DrainOrder(ApiModel):
    """A request to give a worker no more tasks."""

    worker: str = Field(max_length=200)
    """Its name."""

    leaves: bool = True
    """Whether it stops once it has finished its tasks; if not, it stays until it is resumed."""


class PriorityOrder(ApiModel):
    """A request to change a task's priority."""

    priority: int = Field(ge=-(2**31), le=2**31 - 1)
    """Tasks of higher numbers are assigned sooner."""
