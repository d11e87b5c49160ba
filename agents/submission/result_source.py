"""What submission needs of a manager, in this process or another: add tasks, tell results."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol, TypeAlias

from ...messages import MusterError, Task, TaskId, TaskResult

if TYPE_CHECKING:
    from typing_extensions import TypeVarTuple, Unpack

    _Arguments = TypeVarTuple("_Arguments")

Outcome: TypeAlias = TaskResult | MusterError
"""A task's result, or the error that says why there will be none."""

Settle: TypeAlias = Callable[[TaskId, Outcome], None]
"""Called with a task's id and its outcome, in the event loop of whoever found it."""


class ResultSource(Protocol):
    """Adds tasks to a manager, from any thread, and tells their results."""

    def add(self, tasks: Sequence[Task], settle: Settle) -> None:
        """Add tasks, all or none, and call a function with the outcome of each."""
        ...

    def listen(self, listener: Callable[[MusterError], None]) -> None:
        """Call a function when no more results will come; at once if that is so already."""
        ...

    def unlisten(self, listener: Callable[[MusterError], None]) -> None:
        """Do not call a function any more that `listen` was called with."""
        ...


def call_in(
    loop: asyncio.AbstractEventLoop,
    function: Callable[[Unpack[_Arguments]], object],
    *arguments: Unpack[_Arguments],
) -> None:
    """Call a function in an event loop: at once, if that is the running one."""
    try:
        is_running_here = asyncio.get_running_loop() is loop
    except RuntimeError:
        is_running_here = False
    if is_running_here:
        function(*arguments)
    else:
        # If that loop is closed, nobody waits any more.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(function, *arguments)


def fulfil(future: asyncio.Future[TaskResult] | Future[TaskResult], outcome: Outcome) -> None:
    """Set the outcome of a future, unless it was cancelled."""
    if future.done():
        return
    if isinstance(outcome, MusterError):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
