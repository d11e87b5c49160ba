"""Keeps the asyncio tasks that handlers start from ending the event loop.

asyncio propagates a KeyboardInterrupt or a SystemExit of any task to the code that runs the loop. A
handler may start tasks of its own, as `asyncio.wait_for` does for it, and a library may raise one
there. What Ctrl-C causes still propagates.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import ContextVar
from typing import Any, cast

from .attempt_outcome import as_ordinary, is_from_signal

is_in_attempt: ContextVar[bool] = ContextVar("muster_is_in_attempt", default=False)
"""Whether the running code belongs to an attempt at a task."""

_Factory = Callable[..., "asyncio.Future[Any]"]


def contain_attempts(loop: asyncio.AbstractEventLoop) -> None:
    """Turn the exits of the tasks that attempts start into ordinary exceptions, from now on.

    This wraps the loop's task factory. All other tasks stay as they are.
    """
    factory = cast("_Factory | None", loop.get_task_factory())
    if not isinstance(factory, ContainingTaskFactory):
        loop.set_task_factory(cast("Any", ContainingTaskFactory(factory)))


class ContainingTaskFactory:
    """A task factory that contains the exits of tasks that belong to an attempt.

    Args:
        inner: the task factory that the loop had before; None for asyncio's own.
    """

    def __init__(self, inner: _Factory | None) -> None:
        self._inner: _Factory | None = inner

    def __call__(
        self, loop: asyncio.AbstractEventLoop, coroutine: object, **options: Any
    ) -> asyncio.Future[Any]:
        """Make an asyncio task, with its exits contained if it belongs to an attempt."""
        if is_in_attempt.get() and isinstance(coroutine, Coroutine):
            coroutine = _Contained(cast("Coroutine[Any, Any, Any]", coroutine))
        if self._inner is not None:
            return self._inner(loop, coroutine, **options)
        return asyncio.Task(cast("Coroutine[Any, Any, Any]", coroutine), loop=loop, **options)


class _Contained(Coroutine[Any, Any, Any]):
    """A coroutine that raises no SystemExit or KeyboardInterrupt; otherwise like the inner one."""

    def __init__(self, inner: Coroutine[Any, Any, Any]) -> None:
        self._inner = inner

    def send(self, value: Any, /) -> Any:
        try:
            return self._inner.send(value)
        except (KeyboardInterrupt, SystemExit) as fault:
            if is_from_signal(fault):
                raise
            raise as_ordinary(fault) from fault

    def throw(self, *fault: Any) -> Any:
        try:
            return self._inner.throw(*fault)
        except (KeyboardInterrupt, SystemExit) as raised:
            if is_from_signal(raised):
                raise
            raise as_ordinary(raised) from raised

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._inner.__await__()

    def __getattr__(self, name: str) -> Any:
        # The name, frame and state that asyncio and debuggers read.
        return getattr(self._inner, name)
