"""What a handler's context needs of its worker to ask the manager for something."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeAlias

from ...messages import MusterError, Payload, TaskId, TaskResult
from ...messages.client import ManagerMethod
from .suspension import AttemptKey

SubtaskOutcome: TypeAlias = TaskResult | MusterError
"""A subtask's result, or the error that says why there will be none."""

TakeOutcome: TypeAlias = Callable[[TaskId, SubtaskOutcome], None]
"""Called with a subtask's id and its outcome, in the worker's event loop."""


class HandlerCalls(Protocol):
    """Asks the manager, in the worker's event loop.

    Each request is repeated until the manager, or the one that takes over, has replied.
    """

    def add(
        self,
        task_ids: Sequence[TaskId],
        packed: tuple[bytes, ...],
        settle: TakeOutcome,
        asked_by: AttemptKey | None = None,
    ) -> None:
        """Submit tasks; what the manager says against them is their outcome."""
        ...

    def stop_waiting(self, task_ids: Iterable[TaskId], settle: TakeOutcome) -> None:
        """Do not call a function any more with the outcome of tasks."""
        ...

    def ask(
        self,
        method: ManagerMethod,
        arguments: dict[str, Payload],
        replied: Callable[[Payload | MusterError], None],
        asked_by: AttemptKey | None = None,
    ) -> None:
        """Ask for something; `replied` is called with the reply or the error."""
        ...
