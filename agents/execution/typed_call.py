"""Calls a typed function with the arguments in a task's data."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from ...messages import Payload, Task, WrongCall
from .arguments import Arguments
from .handler_requests import WrongArguments


class TypedCall:
    """Calls a typed function as handlers are called: with a task, and a context if there is one.

    Args:
        arguments: what the function takes and returns.
    """

    __slots__ = ("arguments",)

    def __init__(self, arguments: Arguments) -> None:
        self.arguments = arguments

    def __reduce__(self) -> tuple[type[TypedCall], tuple[Arguments]]:
        return type(self), (self.arguments,)

    @property
    def __muster_function__(self) -> Callable[..., Any]:
        """The function, for messages."""
        return self.arguments.function

    def __call__(self, task: Task, context: object | None = None) -> Payload | Awaitable[Payload]:
        """Call the function, and check its output.

        Returns:
            The plain form of the output, or an awaitable of it.

        Raises:
            WrongArguments: the task's data are not its arguments.
            WrongOutput: it returned something else than it declares.
            Exception: what the function raised.
        """
        output = self._call(task, context)
        if inspect.isawaitable(output):
            return self._wait_for(output)
        return self.arguments.plain_output(output)

    def _call(self, task: Task, context: object | None) -> Any:
        arguments = self.arguments
        try:
            values = arguments.read(task.data)
        except WrongCall as fault:
            raise WrongArguments(str(fault)) from None
        by_position, by_name = arguments.place(values, context)
        return arguments.function(*by_position, **by_name)

    async def _wait_for(self, output: Awaitable[Any]) -> Payload:
        return self.arguments.plain_output(await output)


class TypedParts(TypedCall):
    """Calls a typed generator function as handlers are called."""

    __slots__ = ()

    def __call__(self, task: Task, context: object | None = None) -> Any:
        """The generator.

        Raises:
            WrongCall: the task's data are not the arguments of the function.
        """
        return self._call(task, context)
