"""An event loop in virtual time: waiting for hours takes no time, and is reproducible.

When nothing is ready, the clock jumps to the next timer. While a thread works for the loop, as with
`asyncio.to_thread`, the clock stands still and the loop waits in real time.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import selectors
from collections.abc import Callable, Coroutine, Iterable, Sequence
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

    It waits only for timers and for its own threads. It does not wait for other events, such as
    data on a socket: the clock jumps on instead.
    """

    # asyncio's own heap of timers. The loop has just removed cancelled timers, so the first one is
    # the next. Its time is needed to set the clock exactly.
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self) -> None:
        self._time_s = 0.0
        self._busy_threads = 0
        super().__init__(_JumpingSelector(self._pass_time))
        self._set_time(0.0)

    def time(self) -> float:
        """The virtual time in seconds."""
        return self._time_s

    def run_in_executor(
        self,
        executor: Executor | None,
        func: Callable[[Unpack[_Arguments]], _Result],
        *args: Unpack[_Arguments],
    ) -> asyncio.Future[_Result]:
        """Call a function in another thread; until it returns the clock stands still."""
        future = super().run_in_executor(executor, func, *args)
        self._busy_threads += 1
        future.add_done_callback(self._end_thread)
        return future

    def shut_down_threads(self) -> None:
        """Wait in real time until the threads of the default executor have ended."""
        self._busy_threads += 1
        try:
            self.run_until_complete(self.shutdown_default_executor())
        finally:
            self._busy_threads -= 1

    def _end_thread(self, _: asyncio.Future[_Result]) -> None:
        self._busy_threads -= 1

    def _pass_time(self, timeout_s: float | None) -> bool:
        """Advance the clock to the next timer; False if the loop must wait for a thread."""
        if self._busy_threads:
            return False
        if timeout_s is None:
            raise Deadlock(
                f"deadlock at {self._time_s:g} s of virtual time: no timer is set, and these "
                f"asyncio tasks wait: {_describe_waiting(self)}"
            )
        self._set_time(max(self._time_s, self._scheduled[0].when()))
        return True

    def _set_time(self, time_s: float) -> None:
        self._time_s = time_s
        # asyncio runs timers before time + resolution. With this resolution these are exactly the
        # due ones; a fixed resolution would be lost in the rounding of large times.
        self._clock_resolution = math.ulp(time_s)


def run_in_virtual_time(coroutine: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a coroutine as `asyncio.run` does, in virtual time from 0.0 seconds on.

    Raises:
        Deadlock: the coroutine has not ended, and there is no timer to wait for.
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
    """Cancel all asyncio tasks, and those that they start while they end.

    A task that ignores its cancellation and waits is closed, and the wait for it raises `Deadlock`.
    Otherwise the garbage collector would find it later and blame its failure on other code.
    """
    try:
        for _ in range(_MAX_CANCELS):
            # In an order of their own: those of a set differ from one run to the next.
            leftovers = sorted(asyncio.all_tasks(loop), key=_name_length_first)
            for task in leftovers:
                task.cancel()
            loop.run_until_complete(_wait_for_all(leftovers))
            _report_failures(loop, leftovers)
    finally:
        for task in asyncio.all_tasks(loop):
            _close(task)


def _name_length_first(task: asyncio.Task[Any]) -> tuple[int, str]:
    name = task.get_name()
    return len(name), name


def _report_failures(loop: VirtualTimeLoop, ended: Iterable[asyncio.Task[Any]]) -> None:
    for task in ended:
        if not task.cancelled() and (fault := task.exception()) is not None:
            loop.call_exception_handler(
                {
                    "message": "an asyncio task that was left at the end of virtual time failed",
                    "exception": fault,
                    "task": task,
                }
            )


def _close(task: asyncio.Task[Any]) -> None:
    """End an asyncio task where it waits, without its loop."""
    # `asyncio.gather` does the same with its inner tasks.
    task._log_destroy_pending = False  # pyright: ignore[reportAttributeAccessIssue, reportPrivateUsage] # noqa: SLF001
    if inspect.iscoroutine(coroutine := task.get_coro()):
        coroutine.close()


async def _wait_for_all(tasks: Sequence[asyncio.Task[Any]]) -> None:
    if tasks:
        await asyncio.wait(tasks)


def _describe_waiting(loop: VirtualTimeLoop) -> str:
    named = sorted(
        f"{task.get_name()} ({getattr(task.get_coro(), '__qualname__', '?')})"
        for task in asyncio.all_tasks(loop)
    )
    more = len(named) - _MAX_NAMED_TASKS
    return ", ".join(named[:_MAX_NAMED_TASKS]) + (f" and {more} more" if more > 0 else "")
