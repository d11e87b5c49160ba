"""Runs a worker's plain handlers in an executor: threads, processes, or a whole cluster.

If the executor breaks and there is a function that makes one, the next task gets a new executor.
"""

from __future__ import annotations

import asyncio
import inspect
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
from .handler_waiting import HandlerWaiting

ExecutorSource: TypeAlias = Executor | Callable[[], Executor]
"""An executor, or a function that makes one: for the first task, and again whenever it broke."""

Work: TypeAlias = Callable[..., Payload]

_PICKLING_ERRORS = (pickle.PicklingError, TypeError, AttributeError, ValueError, RecursionError)
"""What executors raise when a function or its arguments can't be pickled."""


class HandlerExecutor:
    """Runs plain functions in an executor, and tracks whether that is usable.

    Args:
        source: the executor, or a function that makes it; None for threads of its own.
        slots: the number of those threads.
        name: the worker's name.
        on_unusable: called when the executor broke and can't be replaced.
        kill_after_s: how long a function may go on after it was cancelled, in seconds, before its
            process is killed; None never kills.

    Raises:
        InvalidInput: the source is neither, or `kill_after_s` is negative or given for an executor
            that can't kill.
    """

    def __init__(
        self,
        source: ExecutorSource | None,
        slots: int,
        name: str,
        on_unusable: Callable[[], None],
        kill_after_s: float | None = None,
    ) -> None:
        if kill_after_s is not None and not kill_after_s >= 0:
            raise InvalidInput(
                f"worker {name!r}: kill_after_s is {kill_after_s!r}; it must be 0 or more"
            )
        self._slots = slots
        self._kill_after_s = kill_after_s
        self._name = name
        self._on_unusable = on_unusable
        self._executor: Executor | None = None
        self._is_in_threads = False
        self._making: asyncio.Lock | None = None
        self.is_unusable = False
        self.source = source

    @property
    def source(self) -> ExecutorSource | None:
        """The executor or the function that makes it, as it was passed."""
        return self._source

    @source.setter
    def source(self, source: ExecutorSource | None) -> None:
        if not (source is None or isinstance(source, Executor) or callable(source)):
            raise InvalidInput(
                f"worker {self._name!r}: executor is a {type(source).__name__}; it must be a "
                "concurrent.futures.Executor, or a function that makes one"
            )
        if not callable(source):
            self._check_kill_after(source)
        self._shut_down_own()
        self._source = source
        self._use(source if isinstance(source, Executor) else None)
        self.is_unusable = False

    @property
    def is_known_to_pass_no_context(self) -> bool:
        """Whether there is an executor, and it can't pass a context to functions."""
        return self._executor is not None and not self._is_in_threads

    async def open(self) -> Executor:
        """The executor to use now; makes it if there is none.

        Raises:
            Exception: what the function that makes it raised.
        """
        if self._executor is not None:
            return self._executor
        if self._source is None:
            executor = DaemonThreads(self._slots, f"muster-{self._name}")
            self._use(executor)
            return executor
        if self._making is None:
            self._making = asyncio.Lock()
        async with self._making:
            if self._executor is None:
                self._use(await self._make())
            assert self._executor is not None
            return self._executor

    async def run(
        self,
        function: Work,
        task: Task,
        context: HandlerWaiting | None = None,
        needs_context: bool = True,
    ) -> Payload:
        """Call a function with a task, and wait for its output.

        If this is cancelled before the function has begun, it never begins. Otherwise this returns
        when the function has returned, since a thread can't be stopped from outside.

        Args:
            function: takes the task, and the context if there is one.
            task: the task.
            context: passed to a function that runs in a thread; it can't go elsewhere.
            needs_context: whether the function can't be called without the context, if there is
                one.

        Raises:
            InvalidInput: the function needs a context and does not run in a thread.
            BrokenExecutor: the executor broke meanwhile.
            concurrent.futures.CancelledError: the executor dropped the call.
            Exception: what the function raised.
        """
        executor = self._executor
        if executor is None:
            executor = await self.open()
        if self._is_in_threads:
            if context is not None:
                context.pool = executor
            arguments = (task,) if context is None else (task, context)
            in_context = partial(copy_context().run, do_here)
            outcome = await self._submit(executor, in_context, function, *arguments)
        elif context is not None and needs_context:
            raise InvalidInput(
                f"the handler for {task.type!r} takes a context, which can't leave this process; "
                "run it in threads, or let it take the task alone"
            )
        else:
            # Dask treats two calls with the same function and arguments as one.
            call_id = secrets.token_hex(8)
            outcome = await self._submit(executor, do_elsewhere, function, task, call_id)
        output = output_of(outcome)
        # A decorator may hide that its function is async.
        return await output if inspect.isawaitable(output) else output

    def close(self) -> None:
        """Shut down the executor without waiting, unless it was passed by the user.

        What still runs there stays unfinished; the manager gives it to other workers.
        """
        executor = self._executor
        if executor is None or isinstance(self._source, Executor):
            return
        if runs_processes(executor):
            kill_all(executor)
        self._shut_down_own()
        self._executor = None

    def _use(self, executor: Executor | None) -> None:
        self._executor = executor
        self._is_in_threads = runs_threads(executor)

    async def _make(self) -> Executor:
        assert callable(self._source)
        loop = asyncio.get_running_loop()
        made: object = None
        try:
            # In a thread, since it may connect to a cluster.
            made = output_of(await loop.run_in_executor(None, do_here, self._source))
        finally:
            if not isinstance(made, Executor):
                self._become_unusable()
        if isinstance(made, Executor):
            self._check_kill_after(made)
            return made
        raise InvalidInput(
            f"worker {self._name!r}: the function that should make its executor made a "
            f"{type(made).__name__}"
        )

    def _check_kill_after(self, executor: Executor | None) -> None:
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
        recording = _RecordingExecutor(executor)
        loop = asyncio.get_running_loop()
        try:
            waiting = loop.run_in_executor(recording, work, *arguments)
        except _PICKLING_ERRORS:
            raise
        except Exception:
            # The executor was shut down, or has lost its cluster.
            self._note_broken(executor)
            raise
        try:
            await asyncio.wait([waiting])
        except asyncio.CancelledError:
            # If the worker stops, it does not wait for the function.
            waiting.add_done_callback(partial(self._check_broken, executor))
            if not await _cancel(executor, recording.future):
                await asyncio.wait([waiting], timeout=self._kill_after_s)
                if not waiting.done():
                    self._kill(executor, recording.future)
                    await asyncio.wait([waiting])
            raise
        if waiting.cancelled():
            raise CancelledError("the executor dropped the call, or it was cancelled elsewhere")
        if waiting.exception() is not None:
            self._check_broken(executor, waiting)
        return waiting.result()

    def _kill(self, executor: Executor, future: Future[Any]) -> None:
        log.warning(
            "killed a process whose function went on too long after it was cancelled",
            worker=self._name,
            kill_after_s=self._kill_after_s,
        )
        kill(executor, future)

    def _check_broken(self, executor: Executor, waiting: asyncio.Future[Outcome]) -> None:
        if not waiting.cancelled() and breaks_by_one(executor, waiting.exception()):
            self._note_broken(executor)

    def _note_broken(self, executor: Executor) -> None:
        if executor is not self._executor:
            # Another task has noticed it before.
            return
        if isinstance(self._source, Executor):
            self._become_unusable()
        else:
            log.warning("the executor broke; the next task gets a new one", worker=self._name)
            self._shut_down_own()
            self._executor = None

    def _become_unusable(self) -> None:
        self.is_unusable = True
        self._on_unusable()

    def _shut_down_own(self) -> None:
        executor = self._executor
        if executor is None or isinstance(self._source, Executor):
            return
        if _is_on_this_machine(executor):
            executor.shutdown(wait=False, cancel_futures=True)
        else:
            # Not all executors accept `cancel_futures`.
            executor.shutdown(wait=False)


def _is_on_this_machine(executor: Executor) -> bool:
    return runs_threads(executor) or runs_processes(executor)


async def _cancel(executor: Executor, future: Future[Payload]) -> bool:
    if _is_on_this_machine(executor):
        return future.cancel()
    # In a thread, since this asks the cluster's scheduler, which may be slow to answer.
    return await asyncio.get_running_loop().run_in_executor(None, future.cancel)


class _RecordingExecutor(Executor):
    """Submits to another executor and keeps the future, which tells whether the call has begun."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self.future: Future[Any] = Future()

    def submit(self, fn: Work, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.future = self._executor.submit(fn, *args, **kwargs)
        return self.future
