"""`TaskExecutor`: a `concurrent.futures.Executor` whose calls are tasks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, wait
from typing import Any, TypeVar

from typing_extensions import override

from .call_future import CallFuture

_Value = TypeVar("_Value")


class TaskExecutor(Executor):
    """What takes an executor of the standard library takes this one, as `loop.run_in_executor`.

    `Muster.executor` and `Client.connect(…).executor` make one. Its end, by `shutdown` or `with`,
    waits for its calls; what made it goes on. To cancel a future cancels its task, also one that
    runs.

    Args:
        submit: submits a call, and returns the future of its value.
    """

    def __init__(self, submit: Callable[..., CallFuture[Any]]) -> None:
        self._submit = submit
        self._lock = threading.Lock()
        self._is_shut_down = False
        # Those that are not done.
        self._futures: set[Future[Any]] = set()

    @override
    def submit(self, fn: Callable[..., _Value], /, *args: Any, **kwargs: Any) -> Future[_Value]:
        """Submit a call, and return the future of its value at once.

        Raises:
            RuntimeError: the executor was shut down.
            MusterError: why the call can't be submitted.
        """
        with self._lock:
            if self._is_shut_down:
                raise RuntimeError("the executor was shut down; submit nothing after that")
            future = self._submit(fn, *args, **kwargs)
            self._futures.add(future)
        future.add_done_callback(self._futures.discard)
        return future

    @override
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls.

        Args:
            wait: whether to wait until all are done.
            cancel_futures: whether to cancel those that are not done.
        """
        with self._lock:
            self._is_shut_down = True
        futures = tuple(self._futures)
        if cancel_futures:
            for future in futures:
                future.cancel()
        if wait:
            _wait([future for future in futures if not future.cancelled()])


_wait = wait
