"""An event loop whose clock jumps: hours of waiting pass at once, and always alike.

Where nothing is ready, the clock moves to the next timer. While a thread works for the loop, as
`asyncio.to_thread` has it do, the clock stands still and the loop waits for real.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, TypeVar

from ...messages import Deadlock
from ..runtime.clock import LoopInVirtualTime

if TYPE_CHECKING:
    from typing_extensions import TypeVarTuple, Unpack

    _Arguments = TypeVarTuple("_Arguments")

_Result = TypeVar("_Result")
_MAX_NAMED_TASKS = 10
_MAX_CANCELS = 10
"""How often tasks may start others while they are cancelled."""


class VirtualTimeLoop(LoopInVirtualTime):
    """An event loop that starts at 0.0 seconds and never waits for a timer.

    It knows of timers and of its own threads. What else may wake it, such as a socket, it does
    not wait for: the clock jumps past it.
    """

    # asyncio's own heap of timers. Its first is the one waited for: the loop has just cleared
    # cancelled ones away. Only from it can the clock be set to the timer's time exactly.
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self) -> None:
        self._time_s = 0.0
        self._threads_at_work = 0
        super().__init__(_JumpingSelector(self._pass_time))
        self._set_time(0.0)

    def time(self) -> float:
        """Tell the virtual time in seconds."""
        return self._time_s

    def run_in_executor(
        self,
        executor: Executor | None,
        func: Callable[[Unpack[_Arguments]], _Result],
        *args: Unpack[_Arguments],
    ) -> asyncio.Future[_Result]:
        """Call a function in another thread, for which the clock stands still."""
        future = super().run_in_executor(executor, func, *args)
        self._threads_at_work += 1
        future.add_done_callback(self._end_thread)
        return future

    def shut_down_threads(self) -> None:
        """Wait for real until the threads of the default executor have ended; run no more."""
        self._threads_at_work += 1
        try:
            self.run_until_complete(self.shutdown_default_executor())
        finally:
            self._threads_at_work -= 1

    def _end_thread(self, _: asyncio.Future[_Result]) -> None:
        self._threads_at_work -= 1

    def _pass_time(self, timeout_s: float | None) -> bool:
        """Move the clock on; False if the loop must rather wait for a thread."""
        if self._threads_at_work:
            return False
        if timeout_s is None:
            raise Deadlock(
                f"nothing can happen any more at {self._time_s:g} s of virtual time: "
                f"no timer is set, and these wait: {_describe_waiting(self)}"
            )
        self._set_time(max(self._time_s, self._scheduled[0].when()))
        return True

    def _set_time(self, time_s: float) -> None:
        self._time_s = time_s
        # asyncio takes timers that lie before time + resolution. With this one these are exactly
        # those that are due, none too early; a fixed one would vanish beside large times.
        self._clock_resolution = math.ulp(time_s)


def run_in_virtual_time(coroutine: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a coroutine as `asyncio.run` does, in virtual time from 0.0 seconds on.

    Raises:
        Deadlock: nothing can happen any more, and the coroutine has not ended.
    """
    loop = VirtualTimeLoop()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        try:
            _end_leftovers(loop)
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.shut_down_threads()
        finally:
            loop.close()


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self, pass_time: Callable[[float | None], bool]) -> None:
        super().__init__()
        self._pass_time = pass_time

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0 or self._pass_time(timeout):
            return ready
        return super().select(None)


def _end_leftovers(loop: VirtualTimeLoop) -> None:
    """Cancel all tasks, and those that they start meanwhile.

    A task that goes on waiting is closed, and the wait for it told as a `Deadlock`. If the garbage
    collector found it later, its failure would be blamed on whatever ran then.
    """
    try:
        for _ in range(_MAX_CANCELS):
            leftovers = asyncio.all_tasks(loop)
            for task in leftovers:
                task.cancel()
            loop.run_until_complete(_wait_for_all(leftovers))
            _tell_failures(loop, leftovers)
    finally:
        for task in asyncio.all_tasks(loop):
            _close(task)


def _tell_failures(loop: VirtualTimeLoop, ended: set[asyncio.Task[Any]]) -> None:
    for task in ended:
        if not task.cancelled() and (fault := task.exception()) is not None:
            loop.call_exception_handler(
                {
                    "message": "a task left over at the end of virtual time failed",
                    "exception": fault,
                    "task": task,
                }
            )


def _close(task: asyncio.Task[Any]) -> None:
    """End a task without its loop, at the point where it waits."""
    # As `asyncio.gather` does with the tasks that it waits for itself.
    task._log_destroy_pending = False  # pyright: ignore[reportAttributeAccessIssue, reportPrivateUsage] # noqa: SLF001
    if inspect.iscoroutine(coroutine := task.get_coro()):
        coroutine.close()


async def _wait_for_all(tasks: set[asyncio.Task[Any]]) -> None:
    if tasks:
        await asyncio.wait(tasks)


def _describe_waiting(loop: VirtualTimeLoop) -> str:
    named = sorted(
        f"{task.get_name()} ({getattr(task.get_coro(), '__qualname__', '?')})"
        for task in asyncio.all_tasks(loop)
    )
    more = len(named) - _MAX_NAMED_TASKS
    return ", ".join(named[:_MAX_NAMED_TASKS]) + (f" and {more} more" if more > 0 else "")
