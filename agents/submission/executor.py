"""`TaskExecutor`: a `concurrent.futures.Executor` whose calls are tasks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, wait
from typing import Any, TypeVar

from typing_extensions import override

_Value = TypeVar("_Value")


class TaskExecutor(Executor):
    """What takes an executor of the standard library takes this one, as `loop.run_in_executor`.

    `Muster.executor` and `Client.connect(…).executor` make one. Its end, by `shutdown` or `with`,
    waits for its calls; what made it goes on.

    Args:
        submit: submits a call, and returns the future of its result.
        value_of: makes the value of a call of its result; None if they are the same.
    """

    def __init__(
        self,
        submit: Callable[..., Future[Any]],
        value_of: Callable[[Any], Any] | None = None,
    ) -> None:
        self._submit = submit
        self._value_of = value_of
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
            submitted = self._submit(fn, *args, **kwargs)
            future = submitted if self._value_of is None else _follow(submitted, self._value_of)
            self._futures.add(future)
        future.add_done_callback(self._futures.discard)
        return future

    @override
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls.

        Args:
            wait: whether to wait until all are done.
            cancel_futures: whether to cancel the futures of those that are not done.
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


def _follow(submitted: Future[Any], value_of: Callable[[Any], Any]) -> Future[Any]:
    """A future of the value of another one's result."""
    future: Future[Any] = Future()

    def settle(done: Future[Any]) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(value_of(done.result()))
        except BaseException as fault:  # noqa: BLE001 - the future raises it
            future.set_exception(fault)

    submitted.add_done_callback(settle)
    return future
