"""`Muster`: calls plain functions in processes or threads of this machine, as tasks."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Iterable, Sequence
from concurrent.futures import Future, wait
from types import TracebackType
from typing import Any, TypeVar

from ...messages import InvalidInput, RunEnded, Task
from ...messages.limit import Limit
from ...messages.wording import show
from ..execution.current_submitter import enter_submitter, exit_submitter
from ..execution.typed_function import find_typed_function
from ..kernel.model.schedules import Overlap
from ..manager.notebook_table import manager_table
from ..manager.task_manager import TaskManager
from ..report.model import RunReport
from ..runtime.loop_thread import LoopThread
from ..simulation.memory_network import MemoryNetwork
from ..submission.call_future import CallFuture
from .caller import CallArguments, FunctionCaller
from .future_arguments import futures_in
from .futures import CompletedCalls
from .pending_calls import PendingCalls, make_task
from .workers import FunctionWorker, ProcessSource

_STOP_TIMEOUT_S = 5.0
_LOST_AFTER_S = 3_600.0

_Value = TypeVar("_Value")


class Muster(FunctionCaller):
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
        limits: how many calls may begin in a period, or run at once; a call's `limit_key` is one of
            its options.

    Raises:
        InvalidInput: a number is below 1, or both are given.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        threads: int | None = None,
        limits: Sequence[Limit] = (),
    ) -> None:
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
        self._workers: list[FunctionWorker] = []
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
            limits=limits,
        )
        """The manager, whose methods tell more, and change tasks that wait."""
        self._pending = PendingCalls(self.manager, self._call_soon)

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
                    self._pending.source = ProcessSource()
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
            wait(list(self._pending.futures.values()))
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
            self._pending.clear()
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
                    *map(asyncio.wrap_future, self._pending.futures.values()),
                    return_exceptions=True,
                )
        finally:
            await asyncio.to_thread(self.stop, waits=fault is None and not self._pending.futures)

    async def _open(self) -> None:
        network = MemoryNetwork(latency_s=0.0)
        self.manager.stay()
        link = network.join(self.manager.name, self.manager.receive)
        self._running = [asyncio.ensure_future(self.manager.serve_over(link))]
        for number in range(1, self._worker_count + 1):
            worker = FunctionWorker(
                f"worker-{number}", self._threads or 1, self._pending.find, self._pending.source
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

    def with_options(self, **fields: Any) -> FunctionCaller:
        """Returns what submits calls whose tasks have certain fields, such as `timeout=5.0`.

        Args:
            **fields: fields of `Task`, such as `priority`, `timeout`, `max_attempts` and `type`.

        Raises:
            InvalidInput: there is no such field, or its value is invalid.
        """
        make_task(len, (), fields)
        return FunctionCaller(self, fields)

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
        calls: Iterable[CallArguments],
        options: dict[str, Any],
    ) -> list[CallFuture[_Value]]:
        """Call a function several times; see `submit`.

        Args:
            function: the function.
            calls: the arguments of each call, by position and by name.
            options: fields of the tasks.
        """
        self._check(function)
        typed = find_typed_function(function)
        if typed is not None:
            function, options = typed.__muster_function__, {**typed.options, **options}
        futures: list[CallFuture[_Value]] = []
        tasks: list[Task] = []
        for args, kwargs in calls:
            waits_for = futures_in(args, kwargs)
            if waits_for:
                futures.append(
                    self._pending.submit_later(function, args, kwargs, options, waits_for)
                )
                continue
            task = self._pending.submit(function, args, kwargs, options)
            futures.append(self._pending.futures[task.id])
            tasks.append(task)
        self._pending.hand_in(tasks)
        return futures

    def schedule(
        self,
        name: str,
        function: Callable[..., object],
        /,
        *args: Any,
        every_s: float | None = None,
        cron: str = "",
        tz: str = "UTC",
        overlap: Overlap = "queue",
    ) -> None:
        """Call a function again and again, until it is stopped; its exceptions are logged.

        Args:
            name: the schedule's name; `muster.manager.unschedule(name)` ends it.
            function: the function.
            *args: its arguments.
            every_s: the interval in seconds, 0.1 or more; or else:
            cron: when it is due, in the five fields of cron.
            tz: the time zone of `cron`, such as "Europe/Berlin".
            overlap: what happens while the call before is not done; see `TaskManager.schedule`.

        Raises:
            InvalidInput: the call can't be sent to another process, or the times are not valid.
        """
        self._check(function)
        typed = find_typed_function(function)
        function = function if typed is None else typed.__muster_function__
        made = self._pending.schedule(name, function, args)
        self.manager.schedule(
            name, make=made, every_s=every_s, cron=cron, tz=tz, missed="skip", overlap=overlap
        )

    def _check(self, function: Callable[..., object]) -> None:
        if not callable(function):
            raise InvalidInput(f"{show(function)} can't be called; give a function")
        self.start()

    def _call_soon(self, function: Callable[..., object], *arguments: object) -> None:
        loop_thread = self._loop_thread
        if loop_thread is not None:
            loop_thread.call_soon(function, *arguments)

    # ------------------------------------------------------------------ questions

    def report(self) -> RunReport:
        """The report of all calls; of those that are done, the latest 10,000."""
        return self.manager.report()

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return self.manager.ask(lambda: manager_table(self.manager.name, self.manager.board))
