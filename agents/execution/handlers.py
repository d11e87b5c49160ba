"""Real work: the functions that do it, and what they are told while they do.

```python
from muster.agents import Handlers

handlers = Handlers()

@handlers.task("count_words")
def count_words(task, context):
    context.progress(50, "half of the file")
    return len(task.data["text"].split())
```
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias, TypeVar, cast

from ...messages import InvalidInput, Payload, Task, TaskAssignment, TaskId, UnknownName
from .handler_executor import HandlerExecutor, Work

Handler: TypeAlias = Callable[..., Payload | Awaitable[Payload]]
HandlerT = TypeVar("HandlerT", bound=Handler)


class TaskContext:
    """What a handler may ask and tell while it works; safe to use from a thread.

    Args:
        assignment: the task and what came with it.
        tell: takes progress, in the loop of the agent.
        loop: the loop of the agent.
    """

    def __init__(
        self,
        assignment: TaskAssignment,
        tell: Callable[[float, str], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._assignment = assignment
        self._tell = tell
        self._loop = loop
        self._loop_thread = threading.get_ident()
        self.cancel_reason: str | None = None

    @cached_property
    def task(self) -> Task:
        """The task."""
        return self._assignment.task

    @cached_property
    def attempt(self) -> int:
        """Which attempt at it this is, from 1."""
        return self._assignment.attempt

    @cached_property
    def inputs(self) -> Mapping[TaskId, Payload]:
        """The outputs of the tasks that it depends on, by their ids."""
        return self._assignment.inputs

    @property
    def is_cancelled(self) -> bool:
        """Whether this attempt was cancelled; a plain function should look now and then."""
        return self.cancel_reason is not None

    def progress(self, percent: float, note: str = "") -> None:
        """Tell the manager how far the work has come.

        Args:
            percent: 0 to 100.
            note: a remark for people.

        Raises:
            InvalidInput: percent is out of range.
        """
        if not 0 <= percent <= 100:  # noqa: PLR2004 - percent
            raise InvalidInput(f"progress is {percent!r}; it goes from 0 to 100")
        if threading.get_ident() == self._loop_thread:
            self._tell(percent, note)
        else:
            self._loop.call_soon_threadsafe(self._tell, percent, note)

    def mark_cancelled(self, reason: str) -> None:
        """Note that this attempt is to stop; the agent calls it."""
        self.cancel_reason = reason


@dataclass(frozen=True, slots=True)
class _Registered:
    function: Handler
    is_async: bool
    takes_context: bool


class Handlers:
    """The functions that do a worker's tasks, by the type of task."""

    def __init__(self) -> None:
        self._by_type: dict[str, _Registered] = {}

    def task(self, task_type: str) -> Callable[[HandlerT], HandlerT]:
        """Register the decorated function for a type of task.

        The function takes the `Task`, and if it has a second parameter the `TaskContext`. An async
        function runs in the agent's loop, a plain one in a thread or in the worker's executor.
        What it returns becomes the result's output, what it raises the error message.

        Raises:
            InvalidInput: the type is blank or taken, or the function takes no task.
        """
        if not task_type.strip():
            raise InvalidInput(f"a handler needs a type of task, not the blank {task_type!r}")
        if task_type in self._by_type:
            raise InvalidInput(f"there is a handler for tasks of type {task_type!r} already")

        def register(function: HandlerT) -> HandlerT:
            self._by_type[task_type] = _Registered(
                function, inspect.iscoroutinefunction(function), _takes_context(function)
            )
            return function

        return register

    def update(self, others: Handlers) -> None:
        """Take over the handlers of another collection.

        Raises:
            InvalidInput: both have a handler for one type.
        """
        for task_type in others:
            if task_type in self._by_type:
                raise InvalidInput(f"there are two handlers for tasks of type {task_type!r}")
        self._by_type.update(others._by_type)

    def __iter__(self) -> Iterator[str]:
        """The types of task that there are handlers for."""
        return iter(self._by_type)

    def __len__(self) -> int:
        return len(self._by_type)

    @property
    def plain(self) -> Iterator[str]:
        """The types of task whose handlers are no coroutines."""
        return (each for each, registered in self._by_type.items() if not registered.is_async)

    def refuse_contexts(self) -> None:
        """See that no plain function wants what it can't get outside of threads.

        Raises:
            InvalidInput: one takes a context.
        """
        for task_type in self.plain:
            if self._by_type[task_type].takes_context:
                raise InvalidInput(
                    f"the handler for {task_type!r} takes a context, which can't go where the "
                    "worker's executor runs it; run it in threads, or let it take the task alone"
                )

    def begin(self, task: Task) -> Awaitable[Payload] | None:
        """What `run` would await, if that is no more than a coroutine of the task's handler.

        Args:
            task: what to do.

        Returns:
            The coroutine; None if the handler is none, there is no handler, or a subclass runs them
            in its own way.
        """
        registered = self._by_type.get(task.type)
        if registered is None or not registered.is_async:
            return None
        if getattr(self.run, "__func__", None) is not Handlers.run:
            return None
        return _call(registered, task)

    async def run(self, assignment: TaskAssignment, workplace: HandlerExecutor | None) -> Payload:
        """Do a task by its handler.

        Args:
            assignment: what to do.
            workplace: where plain functions run; coroutines need none.

        Raises:
            UnknownName: there is no handler for the type.
        """
        task_type = assignment.task.type
        registered = self._by_type.get(task_type)
        if registered is None:
            raise UnknownName("handler for tasks of type", task_type, self._by_type)
        if registered.is_async:
            return await _call(registered, assignment.task)
        assert workplace is not None
        context = current_context.get() if registered.takes_context else None
        output = await workplace.run(cast("Work", registered.function), assignment.task, context)
        # A decorator may hide that its function is async.
        return await output if inspect.isawaitable(output) else output


current_context: ContextVar[TaskContext] = ContextVar("muster_task_context")
"""The context of the task that is being done here."""


def _takes_context(function: Handler) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return False
    positional = [
        each
        for each in parameters
        if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
        and each.default is each.empty
    ]
    variadic = any(each.kind is each.VAR_POSITIONAL for each in parameters)
    if not positional and not variadic:
        name = getattr(function, "__name__", repr(function))
        raise InvalidInput(f"handler {name} takes no argument; it must take the task")
    return len(positional) > 1 or (variadic and not positional)


def _call(registered: _Registered, task: Task) -> Awaitable[Payload]:
    if registered.takes_context:
        return registered.function(task, current_context.get())
    return registered.function(task)
