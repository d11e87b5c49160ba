"""What a worker's shell needs of the agent around it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeAlias

from pydantic import BaseModel

from ...messages import TaskAssignment, TaskResult
from ...messages.functions import TaskFunction

Perform: TypeAlias = Callable[[TaskAssignment], Awaitable[TaskResult]]
"""Performs a task."""

Around: TypeAlias = Callable[[Perform, TaskAssignment], Awaitable[TaskResult]]
"""Calls what performs a task, and does something of its own before and after."""


class WorkerHooks(Protocol):
    """What the shell needs of the agent around it."""

    send_tracebacks: bool

    def task_functions(self) -> Sequence[TaskFunction]:
        """The functions behind its task types whose arguments are known."""
        ...

    def perform(self, assignment: TaskAssignment) -> Awaitable[TaskResult]:
        """Perform a task; whatever it raises becomes the task's error."""
        ...

    def hand_to_handlers(self, message: BaseModel, sender: str) -> bool:
        """Pass a user's own message to the user's handlers; False if there are none."""
        ...

    def can_dial_again(self) -> bool:
        """Whether a connection that is given up can be replaced by another."""
        ...

    def is_ticket_outdated(self) -> bool:
        """Whether the manager is now reached by another ticket."""
        ...
