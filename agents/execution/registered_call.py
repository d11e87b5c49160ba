"""Calls what is registered for a task's type, with the task as it declares it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import cast

from pydantic import ValidationError

from ...messages import InvalidTask, Payload, Task
from ...messages.wording import summarize
from .current_submitter import handler_context
from .handler_executor import HandlerExecutor
from .handler_waiting import HandlerWaiting
from .signature import PlannedCall

_current_context = cast("ContextVar[HandlerWaiting]", handler_context)


def call_registered(
    registered: PlannedCall, task: Task, executor: HandlerExecutor | None
) -> Awaitable[Payload]:
    """What runs a handler or a reviewer once it is awaited.

    Args:
        registered: how it is called.
        task: its task.
        executor: runs plain functions; async ones need none.

    Raises:
        InvalidTask: the task is not of the class that it declares.
    """
    context = _current_context.get() if registered.takes_context else None
    if registered.task_class is not None and not isinstance(task, registered.task_class):
        task = _as_declared(task, registered.task_class)
    if not registered.is_async:
        assert executor is not None
        return executor.run(registered.function, task, context, registered.needs_context)
    function = cast("Callable[..., Awaitable[Payload]]", registered.function)
    return function(task) if context is None else function(task, context)


def _as_declared(task: Task, declared: type[Task]) -> Task:
    """A task as the class that its handler declares, which whoever submitted it may not have had.

    Raises:
        InvalidTask: its fields do not fit that class.
    """
    fields = {name: value for name, value in dict(task).items() if name in declared.model_fields}
    try:
        return declared.model_validate(fields)
    except ValidationError as fault:
        raise InvalidTask(f"it is no {declared.__qualname__}: {summarize(fault)}") from None
