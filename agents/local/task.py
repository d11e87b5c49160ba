"""A task of a `LocalTaskManager`, as its function and its callers see it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from datetime import datetime, timezone
from functools import partial
from typing import Any, NoReturn, TypeAlias, cast

from ...messages import IllegalTransition, InvalidInput, TaskFailed, TaskStatus
from ...messages.wording import show
from ..execution.handler_requests import TaskDeclined
from ..kernel.model.records import TaskRecord
from ..runtime.async_functions import is_async

TaskState = TaskStatus
"""The status of a local task: another name of `TaskStatus`."""


class LocalTask:
    """One task; its properties are always up to date, in any thread.

    Only `LocalTaskManager` creates tasks.

    Args:
        coroutine: the async function that performs it.
        record: the board's record of it.
        report_progress: takes the id and the progress in percent.
    """

    __slots__ = ("_record", "_report_progress", "coroutine")

    def __init__(
        self,
        coroutine: TaskFunction,
        record: TaskRecord,
        report_progress: Callable[[str, float], None],
    ) -> None:
        self.coroutine = coroutine
        self._record = record
        self._report_progress = report_progress

    @property
    def id(self) -> str:
        """Its id: a random UUID."""
        return str(self._record.task_id)

    @property
    def name(self) -> str:
        """Its name, for people."""
        return self._record.task.description

    @property
    def state(self) -> TaskStatus:
        """Its status."""
        return self._record.status

    @property
    def priority(self) -> int:
        """Its priority; the highest goes first."""
        return self._record.task.priority

    @property
    def progress(self) -> float:
        """Its progress, 0.0 to 100.0 percent; its function sets it, and completion sets it to 100.

        Raises:
            InvalidInput: it is set to something else than a number from 0 to 100.
        """
        return self._record.progress

    @progress.setter
    def progress(self, percent: float) -> None:
        self._report_progress(self.id, percent)

    def decline(self, reason: str) -> NoReturn:
        """End the task as failed, with a reason; call it in the task's function.

        A local task has no other worker. So this is a failure with the error "declined: …".

        Args:
            reason: why it can't be done here.

        Raises:
            TaskDeclined: always; let it pass.
        """
        raise TaskDeclined(reason)

    @property
    def result(self) -> Any:
        """The return value of its function; None until it is completed."""
        result = self._record.result
        return result.output if result is not None and result.success else None

    @property
    def error(self) -> str | None:
        """Its error, such as "ValueError: no such column"; None if it has not failed."""
        record = self._record
        return record.error_message if record.status is TaskStatus.FAILED else None

    @property
    def error_traceback(self) -> str | None:
        """The traceback of what its function raised, as text; None if there is none."""
        return self._record.error_traceback if self.error is not None else None

    def unwrap(self) -> Any:
        """The return value of its function.

        Raises:
            TaskFailed: it failed or was cancelled; has the error and the traceback.
            IllegalTransition: it is not settled yet.
        """
        record = self._record
        if not record.status.is_final:
            raise IllegalTransition(
                f"task {record.task_id} is {self.state.value}; wait until it is settled"
            )
        if record.status is TaskStatus.COMPLETED:
            return self.result
        error = record.error_message or record.status.value
        raise TaskFailed(record.task_id, error, self.error_traceback, "", record.attempt)

    @property
    def created_at(self) -> datetime:
        """When it was created, in UTC."""
        return _moment(self._record.added_at)

    @property
    def started_at(self) -> datetime | None:
        """When its function was started, in UTC; None if it was not started."""
        at = self._record.assigned_at
        return None if at is None else _moment(at)

    @property
    def completed_at(self) -> datetime | None:
        """When it completed, failed or was cancelled, in UTC; None before."""
        at = self._record.finished_at
        return None if at is None else _moment(at)

    def __repr__(self) -> str:
        return f"<LocalTask {self.id} {self.name!r} {self.state.value}>"


TaskFunction: TypeAlias = Callable[[LocalTask], Coroutine[Any, Any, Any]]
"""An async function that takes its task."""


def check_task_function(function: object) -> None:
    """Check that something is an async function that can be called with a task.

    Raises:
        InvalidInput: it is something else; the message says what to pass instead.
    """
    if inspect.iscoroutine(function):
        raise InvalidInput(
            f"{function.__qualname__}() is a coroutine, not a function; pass the async function "
            "itself, which the manager calls with the task"
        )
    if not (is_async(function) or _may_wrap_async(function)):
        raise InvalidInput(
            f"{show(function)} is not an async function; pass one that takes the task: "
            "async def work(task): …"
        )
    try:
        inspect.signature(cast("TaskFunction", function)).bind(None)
    except TypeError as fault:
        raise InvalidInput(
            f"{show(function)} can't be called with only the task: {fault}; "
            "pass an async function with one argument: async def work(task): …"
        ) from None


def _may_wrap_async(function: object) -> bool:
    """Whether a plain function may well return a coroutine: a lambda, or a wrapper of any function.

    Any other plain function is one that would block the loop.
    """
    while isinstance(function, partial):
        function = cast("partial[object]", function).func
    if not inspect.isfunction(function) or inspect.isgeneratorfunction(function):
        return False
    takes_anything = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS
    return function.__name__ == "<lambda>" or bool(function.__code__.co_flags & takes_anything)


async def call_task_function(task: LocalTask) -> object:
    """Call a task's function, and wait for what it returns.

    Raises:
        InvalidInput: the function is a lambda or wrapper that did not return a coroutine.
        Exception: what the function raised.
    """
    returned: object = task.coroutine(task)
    if not inspect.isawaitable(returned):
        raise InvalidInput(
            f"{show(task.coroutine)} returned {show(returned)}, which can't be awaited; pass an "
            "async function, or one that returns a coroutine"
        )
    return await returned


def _moment(at_s: float) -> datetime:
    return datetime.fromtimestamp(at_s, timezone.utc)
