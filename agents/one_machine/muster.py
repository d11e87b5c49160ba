"""`Muster`: calls plain functions in processes or threads of this machine, as tasks."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future, wait
from itertools import islice
from types import TracebackType
from typing import Any, ParamSpec, TypeAlias, TypeGuard, TypeVar

from pydantic import ValidationError

from ...messages import (
    IllegalTransition,
    InvalidInput,
    MusterError,
    RunEnded,
    Task,
    TaskId,
    TaskResult,
    UnknownTask,
)
from ...messages.wording import show, summarize
from ..execution.current_submitter import enter_submitter, exit_submitter
from ..execution.typed_function import find_typed_function
from ..manager.task_manager import TaskManager
from ..report.model import RunReport
from ..runtime.error_text import HandlerFailed
from ..runtime.loop_thread import LoopThread
from ..simulation.memory_network import MemoryNetwork
from .calling import make_request
from .futures import CallFuture, CompletedCalls, MappedCalls
from .workers import Call, FunctionWorker, ProcessSource

KEPT_CALLS = 10_000
"""How many calls that are done are kept for the report."""

_MAX_WAITING = 1_000
_STOP_TIMEOUT_S = 5.0
_LOST_AFTER_S = 3_600.0
_MAX_DESCRIPTION = 120

_CallArguments: TypeAlias = "tuple[tuple[Any, ...], dict[str, Any]]"
_Arguments = ParamSpec("_Arguments")
_Value = TypeVar("_Value")


class Caller:
    """Submits calls with certain options; `Muster` itself, or what its `with_options` returns.

    Args:
        muster: calls the functions.
        options: fields of their tasks.
    """

    def __init__(self, muster: Muster, options: dict[str, Any]) -> None:
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
            *args: its positional arguments.
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
            calls: list[_CallArguments] = [(each, {}) for each in islice(arguments, count)]
            return self._muster.submit_calls(function, calls, self._options) if calls else []

        return MappedCalls(submit_next, max_waiting)


class Muster(Caller):
    """Calls plain functions in processes of this machine, as the tasks of a manager of its own.

    ```python
    with Muster(workers=4) as muster:
        print(list(muster.map(math.factorial, range(5))))
    ```

    `async with` does the same in an event loop, and `await` takes a future. Nothing goes over a
    network. On Linux processes are forked from this program, and call any function that it has,
    also lambdas and those of a notebook; see `docs/one_machine.md` for other systems.

    Left without an exception, `with` waits for all calls; otherwise it ends the processes at once.

    Args:
        workers: the number of processes, 1 or more; by default one for each processor.
        threads: the number of threads of this process that call functions instead of processes.

    Raises:
        InvalidInput: a number is below 1, or both are given.
    """

    def __init__(self, workers: int | None = None, *, threads: int | None = None) -> None:
        super().__init__(self, {})
        for name, number in (("workers", workers), ("threads", threads)):
            if number is not None and (type(number) is not int or number < 1):
                raise InvalidInput(f"{name} is {show(number)}; it must be 1 or more")
        if workers is not None and threads is not None:
            raise InvalidInput("workers and threads exclude each other; give one of them")
        self._threads = threads
        self._worker_count = 1 if threads else workers or os.cpu_count() or 1
        self._lock = threading.Lock()
        self._loop_thread: LoopThread | None = None
        self._is_over = False
        self._source: ProcessSource | None = None
        self._workers: list[FunctionWorker] = []
        self._calls: dict[TaskId, Call] = {}
        self._futures: dict[TaskId, CallFuture[Any]] = {}
        self._settled: deque[TaskId] = deque()
        self._running: list[asyncio.Future[None]] = []
        self.manager = TaskManager(
            name="muster",
            quiet=True,
            insecure=True,
            lost_after_s=_LOST_AFTER_S,
            # A function that fails is called again only if its options say so.
            reassign_failed=False,
            blob_threshold_bytes=None,
            direct_connections=False,
        )
        """The manager, whose methods tell more, and change tasks that wait."""

    # ------------------------------------------------------------------ life cycle

    def start(self) -> Muster:
        """Start the manager and its workers, unless they were started; `submit` does so too.

        Raises:
            RunEnded: it was stopped.
        """
        with self._lock:
            if self._is_over:
                raise RunEnded("this Muster was stopped; make a new one")
            if self._loop_thread is None:
                if self._threads is None:
                    # Before there is a thread of ours, which a forked process would not have.
                    self._source = ProcessSource()
                self._loop_thread = LoopThread("muster")
                self._loop_thread.start()
                self._loop_thread.wait_for(self._open())
        return self

    def stop(self, *, waits: bool = False) -> None:
        """End the processes.

        Args:
            waits: whether to wait for all calls; otherwise they are cancelled, and functions that
                run in processes are killed.
        """
        if waits:
            wait(list(self._futures.values()))
        with self._lock:
            loop_thread, self._loop_thread = self._loop_thread, None
            self._is_over = True
        if loop_thread is None:
            return
        try:
            for worker in self._workers:
                worker.close(kills=not waits)
            loop_thread.wait_for(self._close())
        finally:
            for future in tuple(self._futures.values()):
                future.cancel()
            self._futures.clear()
            self._calls.clear()
            loop_thread.stop()

    def __enter__(self) -> Muster:
        self.start()
        enter_submitter(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        exit_submitter(self)
        try:
            self.stop(waits=fault is None)
        except BaseException:
            # Ctrl-C while it waits.
            self.stop()
            raise

    async def __aenter__(self) -> Muster:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        exit_submitter(self)
        try:
            if fault is None:
                await asyncio.gather(
                    *map(asyncio.wrap_future, self._futures.values()), return_exceptions=True
                )
        finally:
            await asyncio.to_thread(self.stop, waits=fault is None and not self._futures)

    async def _open(self) -> None:
        network = MemoryNetwork(latency_s=0.0)
        self.manager.stay()
        link = network.join(self.manager.name, self.manager.receive)
        self._running = [asyncio.ensure_future(self.manager.serve_over(link))]
        for number in range(1, self._worker_count + 1):
            worker = FunctionWorker(
                f"worker-{number}", self._threads or 1, self._calls, self._source
            )
            self._workers.append(worker)
            worker.warm_up()
            link = network.join(worker.name, worker.receive)
            self._running.append(asyncio.ensure_future(worker.serve_over(link)))

    async def _close(self) -> None:
        await self.manager.stop()
        await asyncio.wait(self._running, timeout=_STOP_TIMEOUT_S)
        for each in self._running:
            each.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    # ------------------------------------------------------------------ calls

    def with_options(self, **fields: Any) -> Caller:
        """What submits calls whose tasks have certain fields, such as `timeout=5.0`.

        Args:
            **fields: fields of `Task`, such as `priority`, `timeout`, `max_attempts` and `type`.

        Raises:
            InvalidInput: there is no such field, or its value is invalid.
        """
        _make_task(len, (), fields)
        return Caller(self, fields)

    def gather(self, *futures: Future[_Value]) -> list[_Value]:
        """Wait for futures, and return their results in order; the first exception is raised.

        In async code, write `await asyncio.gather(*futures)`.
        """
        return [future.result() for future in futures]

    def as_completed(self, futures: Iterable[Future[_Value]]) -> CompletedCalls[_Value]:
        """Yield futures in the order in which they are done, for `for` and for `async for`."""
        return CompletedCalls(futures)

    def submit_calls(
        self,
        function: Callable[..., Coroutine[Any, Any, _Value] | _Value],
        calls: Iterable[_CallArguments],
        options: dict[str, Any],
    ) -> list[CallFuture[_Value]]:
        """Call a function several times; see `submit`.

        Args:
            function: the function.
            calls: the arguments of each call, by position and by name.
            options: fields of the tasks.
        """
        if not callable(function):
            raise InvalidInput(f"{show(function)} can't be called; give a function")
        typed = find_typed_function(function)
        if typed is not None:
            function, options = typed.__muster_function__, {**typed.options, **options}
        self.start()
        tasks: list[Task] = []
        for args, kwargs in calls:
            request = None
            if self._source is not None:
                request = make_request(function, args, kwargs)
                self._source.learn(request)
            task = _make_task(function, args, options)
            tasks.append(task)
            self._calls[task.id] = Call(function, args, kwargs, request)
            self._futures[task.id] = CallFuture(task.id, self._cancel)
        futures = [self._futures[task.id] for task in tasks]
        try:
            results = self.manager.submit_together(tasks)
        except BaseException:
            for task in tasks:
                self._drop(task.id)
            raise
        for result in results:
            result.add_done_callback(self._settle)
        return futures

    def _cancel(self, task_id: TaskId) -> None:
        loop_thread = self._loop_thread
        if loop_thread is not None:
            loop_thread.call_soon(self._cancel_now, task_id)

    def _cancel_now(self, task_id: TaskId) -> None:
        try:
            self.manager.cancel_task(task_id)
        except (IllegalTransition, UnknownTask):
            # It was done at the same moment.
            return

    def _settle(self, settled: Future[TaskResult]) -> None:
        """Set the result of a future, in the thread of the manager."""
        fault = settled.exception()
        if fault is not None:
            # The run has ended; `stop` cancels all futures.
            return
        result = settled.result()
        future = self._futures.get(result.task_id)
        call = self._drop(result.task_id)
        if future is not None and call is not None and future.set_running_or_notify_cancel():
            reply = call.reply
            if result.success:
                future.set_result(reply.value)
            elif _is_whole(reply.fault) and result.error_message == reply.error:
                if call.request is not None and reply.traceback:
                    # Its traceback in the process, as text; that of the exception did not travel.
                    reply.fault.__cause__ = _failure_of(result).__cause__
                future.set_exception(reply.fault)
            else:
                future.set_exception(_failure_of(result))
        self._settled.append(result.task_id)
        if len(self._settled) > KEPT_CALLS + _MAX_WAITING:
            self.manager.forget_tasks([self._settled.popleft() for _ in range(_MAX_WAITING)])

    def _drop(self, task_id: TaskId) -> Call | None:
        self._futures.pop(task_id, None)
        call = self._calls.pop(task_id, None)
        if call is not None and call.request is not None:
            call.request.release()
        return call

    # ------------------------------------------------------------------ questions

    def report(self) -> RunReport:
        """The report of all calls; of those that are done, the latest 10,000."""

        async def report() -> RunReport:
            return self.manager.report()

        loop_thread = self._loop_thread
        return self.manager.report() if loop_thread is None else loop_thread.wait_for(report())


def _make_task(
    function: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]
) -> Task:
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    shown = ", ".join(show(each) for each in arguments[:5])
    description = f"{name}({shown})"[:_MAX_DESCRIPTION]
    try:
        return Task.model_validate({"type": name[-200:], "description": description, **options})
    except ValidationError as fault:
        raise InvalidInput(f"no task can be made with these options: {summarize(fault)}") from None


def _is_whole(fault: BaseException | None) -> TypeGuard[BaseException]:
    """Whether there is an exception that is more than a text."""
    return fault is not None and not isinstance(fault, HandlerFailed)


def _failure_of(result: TaskResult) -> MusterError:
    try:
        result.unwrap()
    except MusterError as fault:
        return fault
    raise AssertionError("a failed result")  # pragma: no cover
