"""An executor that runs plain functions at once, so that their timing is reproducible."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

_Parameters = ParamSpec("_Parameters")
_Returned = TypeVar("_Returned")


class InlineExecutor(ThreadPoolExecutor):
    """Runs each function immediately, in the caller's thread."""

    def submit(
        self,
        fn: Callable[_Parameters, _Returned],
        /,
        *args: _Parameters.args,
        **kwargs: _Parameters.kwargs,
    ) -> Future[_Returned]:
        """Run a function, and return its finished future."""
        future: Future[_Returned] = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as fault:  # noqa: BLE001 - the caller gets it
            future.set_exception(fault)
        return future
