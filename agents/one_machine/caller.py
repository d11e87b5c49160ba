"""What submits calls of functions with certain options."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from itertools import islice
from typing import Any, ParamSpec, Protocol, TypeAlias, TypeVar

from ...messages import InvalidInput
from ..submission.call_future import CallFuture
from ..submission.executor import TaskExecutor
from .futures import MappedCalls

_MAX_WAITING = 1_000

CallArguments: TypeAlias = "tuple[tuple[Any, ...], dict[str, Any]]"
"""The arguments of a call, by position and by name."""

_Arguments = ParamSpec("_Arguments")
_Value = TypeVar("_Value")


class CallSubmitter(Protocol):
    """Calls functions."""

    def submit_calls(
        self,
        function: Callable[..., Coroutine[Any, Any, _Value] | _Value],
        calls: Iterable[CallArguments],
        options: dict[str, Any],
    ) -> list[CallFuture[_Value]]:
        """Call a function several times, with fields of the tasks as options."""
        ...


class FunctionCaller:
    """Submits calls with certain options; `Muster` itself, or what its `with_options` returns.

    Args:
        muster: calls the functions.
        options: fields of their tasks.
    """

    def __init__(self, muster: CallSubmitter, options: dict[str, Any]) -> None:
        self._muster = muster
        self._options = options

    def submit(
        self,
        function: Callable[_Arguments, Coroutine[Any, Any, _Value] | _Value],
        /,
        *args: _Arguments.args,
        **kwargs: _Arguments.kwargs,
    ) -> CallFuture[_Value]:
        """Call a function, and return at once.

        An exception of the function is raised by the future; in a process, its traceback there is
        its cause. An async function runs in an event loop of its own.

        Args:
            function: the function.
            *args: its positional arguments. For a future, also in a list or tuple, it gets the
                result, and the call waits for it.
            **kwargs: its keyword arguments.

        Returns:
            A future: `future.result()` waits, and so does `await future`.

        Raises:
            InvalidInput: the call can't be sent to another process.
            RunEnded: it was stopped.
        """
        return self._muster.submit_calls(function, [(args, kwargs)], self._options)[0]

    def map(
        self,
        function: Callable[..., Coroutine[Any, Any, _Value] | _Value],
        /,
        *iterables: Iterable[Any],
        max_waiting: int = _MAX_WAITING,
    ) -> MappedCalls[_Value]:
        """Call a function with each item, and yield what it returns, in the items' order.

        It begins at once. The result is for `for` and for `async for`.

        Args:
            function: the function.
            *iterables: the items; of several iterables, one item each, until the shortest ends.
            max_waiting: how many calls there may be at a time, 1 or more; more items are taken
                when there is room.

        Raises:
            InvalidInput: a call can't be sent to another process, or `max_waiting` is below 1.
            RunEnded: it was stopped.
        """
        if max_waiting < 1:
            raise InvalidInput(f"max_waiting is {max_waiting}; it must be 1 or more")
        arguments = zip(*iterables, strict=False)

        def submit_next(count: int) -> list[CallFuture[_Value]]:
            calls: list[CallArguments] = [(each, {}) for each in islice(arguments, count)]
            return self._muster.submit_calls(function, calls, self._options) if calls else []

        return MappedCalls(submit_next, max_waiting)

    def executor(self) -> TaskExecutor:
        """Returns an executor of the standard library that calls functions like this."""
        return TaskExecutor(self.submit)
