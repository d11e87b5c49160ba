"""Calls functions with arguments as tasks of a `LocalTaskManager`."""

from __future__ import annotations

import asyncio
import inspect
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ParamSpec

from ...messages import InvalidInput
from ...messages.wording import show
from ..execution.parameters import name_of, returns_coroutine
from ..execution.typed_function import find_typed_function
from .task import LocalTask, TaskFunction

_Arguments = ParamSpec("_Arguments")


class FunctionCalls:
    """The method of a `LocalTaskManager` that calls functions."""

    @abstractmethod
    def create_task(self, name: str, coroutine: TaskFunction, priority: int = 0) -> str:
        """Create a task; returns its id."""

    @abstractmethod
    def get_task(self, task_id: str) -> LocalTask | None:
        """The task with this id, or None."""

    def submit(
        self,
        function: Callable[_Arguments, Any],
        /,
        *arguments: _Arguments.args,
        **named: _Arguments.kwargs,
    ) -> LocalTask:
        """Create a task that calls a function with arguments, and is called as the function.

        A plain function runs in a thread, and goes on there if the task is cancelled.

        Args:
            function: the function, async or plain. The arguments of a typed function are checked,
                and `add.with_options(priority=5)` sets the priority.
            *arguments: its arguments.
            **named: its arguments by name.

        Returns:
            The task, whose `result` is what the function returned.

        Raises:
            WrongCall: these are not the arguments of a typed function; names each fault.
            InvalidInput: it is no function, or has other options than the priority.
        """
        if not callable(function):
            raise InvalidInput(f"{show(function)} is not a function; pass it and its arguments")
        typed, priority, called = find_typed_function(function), 0, function
        if typed is not None:
            typed.task(*arguments, **named)
            called, options = typed.__muster_function__, dict(typed.options)
            priority = options.pop("priority", 0)
            if options:
                raise InvalidInput(
                    f"a local task has no option {', '.join(map(repr, options))}, only 'priority'"
                )

        async def call(_: LocalTask) -> Any:
            if returns_coroutine(called):
                return await called(*arguments, **named)
            output = await asyncio.to_thread(called, *arguments, **named)
            return await output if inspect.isawaitable(output) else output

        task = self.get_task(self.create_task(name_of(called), call, priority))
        assert task is not None
        return task
