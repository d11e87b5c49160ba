"""An executor whose threads do not keep the process alive.

Python joins the threads of a `ThreadPoolExecutor` at exit: one function that never returns keeps
the process running forever.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import Any, NamedTuple, ParamSpec, TypeVar

from ...messages import BacklogFull

MAX_WAITING_THREADS = 500
"""How many threads of one executor may only wait at the same time."""

_Parameters = ParamSpec("_Parameters")
_Returned = TypeVar("_Returned")


class _Call(NamedTuple):
    future: Future[Any]
    function: Callable[[], Any]


class DaemonThreads(Executor):
    """Runs functions in daemon threads, which are started as needed.

    A thread that only waits for something makes room for another one meanwhile, see `waiting`.

    Args:
        max_workers: the maximum number of threads, 1 or more.
        thread_name_prefix: the prefix of their names, followed by a number.

    Raises:
        ValueError: `max_workers` is below 1.
    """

    def __init__(self, max_workers: int, thread_name_prefix: str = "muster") -> None:
        self._threads: list[threading.Thread] = []
        if max_workers < 1:
            raise ValueError(f"max_workers is {max_workers}; it must be 1 or more")
        self._max_workers = max_workers
        self._waiting = 0
        self._prefix = thread_name_prefix
        self._shared = _SharedState()
        self._numbers = count()
        self._is_shut_down = False

    def submit(
        self,
        fn: Callable[_Parameters, _Returned],
        /,
        *args: _Parameters.args,
        **kwargs: _Parameters.kwargs,
    ) -> Future[_Returned]:
        """Call a function in a thread.

        Raises:
            RuntimeError: it was shut down, or the system can't start another thread.
        """
        future: Future[_Returned] = Future()
        shared = self._shared
        with shared.lock:
            if self._is_shut_down:
                raise RuntimeError("cannot schedule new futures after shutdown")
            are_all_busy = shared.unfinished >= len(self._threads)
            if are_all_busy and len(self._threads) < self._max_workers + self._waiting:
                self._start_one()
            shared.unfinished += 1
            shared.calls.put(_Call(future, partial(fn, *args, **kwargs)))
        return future

    @contextmanager
    def waiting(self) -> Generator[None]:
        """While this is open, one thread only waits, and there may be another one.

        Raises:
            BacklogFull: `MAX_WAITING_THREADS` threads wait already.
        """
        shared = self._shared
        with shared.lock:
            if self._waiting >= MAX_WAITING_THREADS:
                raise BacklogFull(
                    f"{MAX_WAITING_THREADS} handlers wait in threads here, which is the limit; "
                    "make them async, or let fewer tasks wait at once"
                )
            self._waiting += 1
            if shared.unfinished > len(self._threads) and not self._is_shut_down:
                self._start_one()
        try:
            yield
        finally:
            with shared.lock:
                self._waiting -= 1

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept no more functions, and end the threads when they are idle.

        Args:
            wait: whether to wait for that.
            cancel_futures: whether to cancel functions that have not started.
        """
        shared = self._shared
        with shared.lock:
            self._is_shut_down = True
            if cancel_futures:
                shared.cancel_waiting()
            for _ in self._threads:
                shared.calls.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def __del__(self) -> None:
        # An executor that is garbage-collected leaves no threads behind.
        for _ in self._threads:
            self._shared.calls.put(None)

    def _start_one(self) -> None:
        name = f"{self._prefix}_{next(self._numbers)}"
        # A reference to this object would keep it from being garbage-collected.
        thread = threading.Thread(target=self._shared.work, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)


class _SharedState:
    """The state that the threads of one executor share."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        # Bounded by the caller: a worker submits no more than its slots.
        self.calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self.unfinished = 0

    def work(self) -> None:
        while (call := self.calls.get()) is not None:
            _carry_out(call)
            # Arguments and result may be large.
            del call
            with self.lock:
                self.unfinished -= 1

    def cancel_waiting(self) -> None:
        while True:
            try:
                call = self.calls.get_nowait()
            except queue.Empty:
                return
            if call is not None:
                self.unfinished -= 1
                call.future.cancel()


def _carry_out(call: _Call) -> None:
    if not call.future.set_running_or_notify_cancel():
        return
    try:
        outcome = call.function()
    except BaseException as fault:  # noqa: BLE001 - raised to the awaiting caller
        call.future.set_exception(fault)
    else:
        call.future.set_result(outcome)
