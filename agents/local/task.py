"""A task of a `LocalTaskManager`, as the function that does it and whoever asks for it see it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from datetime import datetime, timezone
from typing import Any, TypeAlias, cast

from ...messages import InvalidInput, TaskStatus
from ...messages.wording import show
from ..kernel.model.records import TaskRecord
from ..runtime.async_functions import is_async

TaskState = TaskStatus
"""Where a task stands: the one `TaskStatus` under the name that local tasks know it by."""


class LocalTask:
    """One task; what is read of it is always as it is now, from any thread.

    Tasks come from `LocalTaskManager`; nobody else makes any.

    Args:
        coroutine: the async function that does it.
        record: what the board knows of it.
        tell_progress: takes the id and how far the work has come.
    """

    __slots__ = ("_record", "_tell_progress", "coroutine")

    def __init__(
        self,
        coroutine: TaskFunction,
        record: TaskRecord,
        tell_progress: Callable[[str, float], None],
    ) -> None:
        self.coroutine = coroutine
        self._record = record
        self._tell_progress = tell_progress

    @property
    def id(self) -> str:
        """What it is known by: a random UUID."""
        return str(self._record.task_id)

    @property
    def name(self) -> str:
        """What it is called, for people."""
        return self._record.task.description

    @property
    def state(self) -> TaskStatus:
        """Where it stands."""
        return self._record.status

    @property
    def priority(self) -> int:
        """How urgent it is; the highest goes first."""
        return self._record.task.priority

    @property
    def progress(self) -> float:
        """How far it has come, 0.0 to 100.0; its function sets it, and completion sets it to 100.

        Raises:
            InvalidInput: when it is set to what is no number from 0 to 100.
        """
        return self._record.progress

    @progress.setter
    def progress(self, percent: float) -> None:
        self._tell_progress(self.id, percent)

    @property
    def result(self) -> Any:
        """What its function returned; None until it is completed."""
        result = self._record.result
        return result.output if result is not None and result.success else None

    @property
    def error(self) -> str | None:
        """Why it failed, as "Type: text", such as "ValueError: no such column"; else None."""
        record = self._record
        return record.error_message if record.status is TaskStatus.FAILED else None

    @property
    def created_at(self) -> datetime:
        """When it was created, in UTC."""
        return _moment(self._record.added_at)

    @property
    def started_at(self) -> datetime | None:
        """When its function was started, in UTC; None before, and if it never was."""
        at = self._record.assigned_at
        return None if at is None else _moment(at)

    @property
    def completed_at(self) -> datetime | None:
        """When it was completed, failed or was cancelled, in UTC; None before."""
        at = self._record.finished_at
        return None if at is None else _moment(at)

    def __repr__(self) -> str:
        return f"<LocalTask {self.id} {self.name!r} {self.state.value}>"


TaskFunction: TypeAlias = Callable[[LocalTask], Coroutine[Any, Any, Any]]
"""An async function that takes its task."""


def check_task_function(function: object) -> None:
    """See that something is an async function that can be called with a task.

    Raises:
        InvalidInput: it is something else; says what, and what to give instead.
    """
    if inspect.iscoroutine(function):
        raise InvalidInput(
            f"{function.__qualname__}() is a coroutine that was called already; give the async "
            "function itself, which the manager calls with the task"
        )
    if not is_async(function):
        raise InvalidInput(
            f"{show(function)} is no async function; give one that takes the task: "
            "async def work(task): …"
        )
    try:
        inspect.signature(cast("TaskFunction", function)).bind(None)
    except TypeError as fault:
        raise InvalidInput(
            f"{show(function)} can't be called with the task alone: {fault}; "
            "give an async function of one argument: async def work(task): …"
        ) from None


def _moment(at_s: float) -> datetime:
    return datetime.fromtimestamp(at_s, timezone.utc)
