"""Where a worker's plain handlers run: threads, processes, or a whole cluster behind an executor.

An executor that breaks is made anew if there is a function that makes it.
"""

from __future__ import annotations

import asyncio
import pickle
import secrets
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future
from contextvars import copy_context
from functools import partial
from typing import Any, TypeAlias

from ...messages import InvalidInput, Payload, Task
from ..runtime.daemon_threads import DaemonThreads
from ..runtime.log import log
from .executor_kinds import breaks_by_one, kill, kill_all, runs_processes, runs_threads
from .handler_outcome import Outcome, do_elsewhere, do_here, output_of

ExecutorSource: TypeAlias = Executor | Callable[[], Executor]
"""An executor, or a function that makes one: at first, and again whenever it broke."""

Work: TypeAlias = Callable[..., Payload]

_CANT_BE_CARRIED = (pickle.PicklingError, TypeError, AttributeError, ValueError, RecursionError)
"""What executors raise when they are given what can't be pickled."""


class HandlerExecutor:
    """Runs plain functions in an executor, and knows whether there is a usable one.

    Args:
        source: the executor, or what makes it; None for threads of its own.
        slots: how many threads those are.
        name: the worker's name.
        tell_unusable: called when the executor broke and there is no other.
        kill_after_s: how long after its cancel a function may go on, in seconds, before its process
            is killed; None for as long as it likes.

    Raises:
        InvalidInput: the source is neither, or `kill_after_s` is negative or given for what can't
            be killed.
    """

    def __init__(
        self,
        source: ExecutorSource | None,
        slots: int,
        name: str,
        tell_unusable: Callable[[], None],
        kill_after_s: float | None = None,
    ) -> None:
        if kill_after_s is not None and not kill_after_s >= 0:
            raise InvalidInput(
                f"worker {name!r}: kill_after_s is {kill_after_s!r}; it must be 0 or more"
            )
        self._slots = slots
        self._kill_after_s = kill_after_s
        self._name = name
        self._tell_unusable = tell_unusable
        self._executor: Executor | None = None
        self._making: asyncio.Lock | None = None
        self.is_unusable = False
        self.source = source

    @property
    def source(self) -> ExecutorSource | None:
        """The executor, or what makes it, as it was given."""
        return self._source

    @source.setter
    def source(self, source: ExecutorSource | None) -> None:
        if not (source is None or isinstance(source, Executor) or callable(source)):
            raise InvalidInput(
                f"worker {self._name!r}: executor is a {type(source).__name__}; it must be a "
                "concurrent.futures.Executor, or a function that makes one"
            )
        if not callable(source):
            self._see_that_it_can_be_killed(source)
        self._end_own()
        self._source = source
        self._executor = source if isinstance(source, Executor) else None
        self.is_unusable = False

    @property
    def surely_carries_no_context(self) -> bool:
        """Whether it is known already that functions get no context there."""
        return self._executor is not None and not runs_threads(self._executor)

    async def open(self) -> Executor:
        """The executor to be used now; it is made, if it must be.

        Raises:
            Exception: what the function raised that should make it.
        """
        if self._executor is not None:
            return self._executor
        if self._source is None:
            self._executor = DaemonThreads(self._slots, f"muster-{self._name}")
            return self._executor
        if self._making is None:
            self._making = asyncio.Lock()
        async with self._making:
            if self._executor is None:
                self._executor = await self._make()
            return self._executor

    async def run(self, function: Work, task: Task, context: object | None = None) -> Payload:
        """Do a task by a function, and wait for it.

        When this is cancelled before the function has begun, it never begins; otherwise this ends
        when the function has ended, since no thread can be stopped from outside.

        Args:
            function: takes the task, and the context if there is one.
            task: the task.
            context: goes with it into a thread, and nowhere else.

        Raises:
            InvalidInput: the context can't go where the function runs.
            BrokenExecutor: the executor broke meanwhile.
            concurrent.futures.CancelledError: the executor gave the work up.
            Exception: what the function raised.
        """
        executor = await self.open()
        if runs_threads(executor):
            arguments = (task,) if context is None else (task, context)
            in_context = partial(copy_context().run, do_here)
            return output_of(await self._submit(executor, in_context, function, *arguments))
        if context is not None:
            raise InvalidInput(
                f"the handler for {task.type!r} takes a context, which can't leave this process; "
                "run it in threads, or let it take the task alone"
            )
        # Dask takes two calls for one if they are the same in all.
        call_id = secrets.token_hex(8)
        return output_of(await self._submit(executor, do_elsewhere, function, task, call_id))

    def close(self) -> None:
        """End what was made here, without waiting; an executor that was given stays.

        What still runs there is unfinished, and goes to others.
        """
        executor = self._executor
        if executor is None or isinstance(self._source, Executor):
            return
        if runs_processes(executor):
            kill_all(executor)
        self._end_own()
        self._executor = None

    async def _make(self) -> Executor:
        assert callable(self._source)
        loop = asyncio.get_running_loop()
        made: object = None
        try:
            # It may have a cluster to connect to.
            made = output_of(await loop.run_in_executor(None, do_here, self._source))
        finally:
            if not isinstance(made, Executor):
                self._become_unusable()
        if isinstance(made, Executor):
            self._see_that_it_can_be_killed(made)
            return made
        raise InvalidInput(
            f"worker {self._name!r}: the function that should make its executor made a "
            f"{type(made).__name__}"
        )

    def _see_that_it_can_be_killed(self, executor: Executor | None) -> None:
        if self._kill_after_s is not None and not runs_processes(executor):
            kind = "threads" if executor is None else f"a {type(executor).__name__}"
            raise InvalidInput(
                f"worker {self._name!r}: kill_after_s is {self._kill_after_s:g}, but its functions "
                f"run in {kind}, which can't be killed; let them run in processes, as with "
                f"executor=lambda: ProcessPool({self._slots}), or leave it out"
            )

    async def _submit(
        self, executor: Executor, work: Callable[..., Outcome], *arguments: Any
    ) -> Outcome:
        noting = _Noting(executor)
        loop = asyncio.get_running_loop()
        try:
            waiting = loop.run_in_executor(noting, work, *arguments)
        except _CANT_BE_CARRIED:
            raise
        except Exception:
            # It takes nothing any more: it was shut down, or has lost its cluster.
            self._note_broken(executor)
            raise
        try:
            await asyncio.wait([waiting])
        except asyncio.CancelledError:
            # Whoever stops does not wait for what becomes of it.
            waiting.add_done_callback(partial(self._look_at, executor))
            if not await _cancel(executor, noting.future):
                await asyncio.wait([waiting], timeout=self._kill_after_s)
                if not waiting.done():
                    self._kill(executor, noting.future)
                    await asyncio.wait([waiting])
            raise
        if waiting.cancelled():
            raise CancelledError("the executor gave the work up, or was told to from elsewhere")
        self._look_at(executor, waiting)
        return waiting.result()

    def _kill(self, executor: Executor, future: Future[Any]) -> None:
        log.warning(
            "a process was killed: its function went on too long after its cancel",
            worker=self._name,
            kill_after_s=self._kill_after_s,
        )
        kill(executor, future)

    def _look_at(self, executor: Executor, waiting: asyncio.Future[Outcome]) -> None:
        if not waiting.cancelled() and breaks_by_one(executor, waiting.exception()):
            self._note_broken(executor)

    def _note_broken(self, executor: Executor) -> None:
        if executor is not self._executor:
            # Another task has found out before.
            return
        if isinstance(self._source, Executor):
            self._become_unusable()
        else:
            log.warning("the executor broke; the next task gets a new one", worker=self._name)
            self._end_own()
            self._executor = None

    def _become_unusable(self) -> None:
        self.is_unusable = True
        self._tell_unusable()

    def _end_own(self) -> None:
        executor = self._executor
        if executor is None or isinstance(self._source, Executor):
            return
        if _is_on_this_machine(executor):
            executor.shutdown(wait=False, cancel_futures=True)
        else:
            # Not all executors know how to cancel what waits.
            executor.shutdown(wait=False)


def _is_on_this_machine(executor: Executor) -> bool:
    return runs_threads(executor) or runs_processes(executor)


async def _cancel(executor: Executor, future: Future[Payload]) -> bool:
    if _is_on_this_machine(executor):
        return future.cancel()
    # A cluster's scheduler is asked, and may be long in answering.
    return await asyncio.get_running_loop().run_in_executor(None, future.cancel)


class _Noting(Executor):
    """Submits to another executor, and keeps the future, which alone tells whether it began."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self.future: Future[Any] = Future()

    def submit(self, fn: Work, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.future = self._executor.submit(fn, *args, **kwargs)
        return self.future
