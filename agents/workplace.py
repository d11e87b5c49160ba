"""Where a worker's plain handlers run: threads, processes, or a whole cluster behind an executor.

An executor that breaks is made anew if there is a function that makes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import pickle
import secrets
from collections.abc import Callable
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ThreadPoolExecutor,
)
from concurrent.futures.thread import BrokenThreadPool
from contextvars import copy_context
from typing import Any, NamedTuple, TypeAlias

from ..messages import EncodeError, InvalidInput, Payload, Task
from ..messages.portability import explain_unportable
from .fault_text import HandlerFailed, describe_fault
from .log import log

ExecutorSource: TypeAlias = Executor | Callable[[], Executor]
"""An executor, or a function that makes one: at first, and again whenever it broke."""

Work: TypeAlias = Callable[..., Payload]

_CANT_BE_CARRIED = (pickle.PicklingError, TypeError, AttributeError, ValueError, RecursionError)
"""What executors raise when they are given what can't be pickled."""


class Workplace:
    """Runs plain functions in an executor, and knows whether there is a usable one.

    Args:
        source: the executor, or what makes it; None for threads of its own.
        slots: how many threads those are.
        name: the worker's name.
        tell_unusable: called when the executor broke and there is no other.

    Raises:
        InvalidInput: the source is neither.
    """

    def __init__(
        self,
        source: ExecutorSource | None,
        slots: int,
        name: str,
        tell_unusable: Callable[[], None],
    ) -> None:
        self._slots = slots
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
        self._end_own()
        self._source = source
        self._executor = source if isinstance(source, Executor) else None
        self.is_unusable = False

    @property
    def surely_carries_no_context(self) -> bool:
        """Whether it is known already that functions get no context there."""
        return self._executor is not None and not isinstance(self._executor, ThreadPoolExecutor)

    async def open(self) -> Executor:
        """The executor to be used now; it is made, if it must be.

        Raises:
            Exception: what the function raised that should make it.
        """
        if self._executor is not None:
            return self._executor
        if self._source is None:
            self._executor = ThreadPoolExecutor(self._slots, f"muster-{self._name}")
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
        if isinstance(executor, ThreadPoolExecutor):
            arguments = (task,) if context is None else (task, context)
            return await self._submit(executor, copy_context().run, function, *arguments)
        if context is not None:
            raise InvalidInput(
                f"the handler for {task.type!r} takes a context, which can't leave this process; "
                "run it in threads, or let it take the task alone"
            )
        # Dask takes two calls for one if they are the same in all.
        call_id = secrets.token_hex(8)
        outcome = await self._submit(executor, do_elsewhere, function, task, call_id)
        if isinstance(outcome, Failed):
            raise HandlerFailed(outcome.told)
        return outcome

    def close(self) -> None:
        """End what was made here, without waiting; an executor that was given stays."""
        self._end_own()
        if not isinstance(self._source, Executor):
            self._executor = None

    async def _make(self) -> Executor:
        assert callable(self._source)
        loop = asyncio.get_running_loop()
        made: object = None
        try:
            # It may have a cluster to connect to.
            made = await loop.run_in_executor(None, self._source)
        finally:
            if not isinstance(made, Executor):
                self._become_unusable()
        if isinstance(made, Executor):
            return made
        raise InvalidInput(
            f"worker {self._name!r}: the function that should make its executor made a "
            f"{type(made).__name__}"
        )

    async def _submit(self, executor: Executor, work: Work, *arguments: Any) -> Payload:
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
            if not await _cancel(executor, noting.future):
                await asyncio.wait([waiting])
            if waiting.done() and not waiting.cancelled():
                waiting.exception()
            raise
        if waiting.cancelled():
            raise CancelledError("the executor gave the work up, or was told to from elsewhere")
        # A handler that runs in a thread may have broken a pool of its own.
        kind = BrokenThreadPool if isinstance(executor, ThreadPoolExecutor) else BrokenExecutor
        if isinstance(waiting.exception(), kind):
            self._note_broken(executor)
        return waiting.result()

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
        if _is_a_pool_of_ours(executor):
            executor.shutdown(wait=False, cancel_futures=True)
        else:
            # Not all executors know how to cancel what waits.
            executor.shutdown(wait=False)


class Failed(NamedTuple):
    """What a function raised elsewhere, if the exception itself can't come home."""

    told: str


def do_elsewhere(function: Work, task: Task, call_id: str) -> Payload | Failed:
    """Do a task in another process or on another machine, so that how it went can come home.

    What can't be read at home would break the pool, or leave those waiting who are there.

    Args:
        function: what does it.
        task: the task.
        call_id: tells this call from all others.
    """
    del call_id
    try:
        output = function(task)
    except BaseException as fault:
        if _can_come_home(fault):
            raise
        return Failed(describe_fault(fault))
    problem = explain_unportable({"output": output})
    return output if problem is None else Failed(describe_fault(EncodeError(problem)))


def _can_come_home(fault: BaseException) -> bool:
    """Whether an exception survives the journey; one whose class wants other arguments doesn't."""
    if not isinstance(fault, Exception) or isinstance(fault, BrokenExecutor):
        # It would be taken for the executor's own.
        return False
    with contextlib.suppress(Exception):
        pickle.dumps(fault)
        copy.copy(fault)
        return True
    return False


def _is_a_pool_of_ours(executor: Executor) -> bool:
    """Whether it is one of Python's own pools, on this machine."""
    if isinstance(executor, ThreadPoolExecutor):
        return True
    from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415 - few workers have one

    return isinstance(executor, ProcessPoolExecutor)


async def _cancel(executor: Executor, future: Future[Payload]) -> bool:
    if _is_a_pool_of_ours(executor):
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
