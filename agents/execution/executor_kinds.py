"""Tells what kind of executor one is, threads, processes or something else, and kills processes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from concurrent.futures.thread import BrokenThreadPool
from typing import Any

from ..runtime.daemon_threads import DaemonThreads


def runs_threads(executor: object) -> bool:
    """Whether functions run in threads: they can get a context, and can't be killed."""
    return isinstance(executor, ThreadPoolExecutor | DaemonThreads)


def runs_processes(executor: object) -> bool:
    """Whether functions run in processes that can be killed, here or in a Ray cluster."""
    if callable(getattr(executor, "kill", None)):
        return True
    from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415 - rarely needed

    return isinstance(executor, ProcessPoolExecutor)


def kill(executor: Executor, future: Future[Any]) -> None:
    """Kill the process that runs a future's function.

    Args:
        executor: the executor. `ProcessPool` and `RayExecutor` have a method `kill` for a single
            process. Python's own pool has none: all its processes are killed, and it breaks.
        future: the future of the function.
    """
    kill_one: Callable[[Future[Any]], None] | None = getattr(executor, "kill", None)
    if kill_one is not None:
        kill_one(future)
    else:
        _kill_processes(executor)


def kill_all(executor: Executor) -> None:
    """Kill all processes of an executor that has them."""
    kill_workers: Callable[[], None] | None = getattr(executor, "kill_workers", None)
    if kill_workers is not None:
        kill_workers()
    else:
        _kill_processes(executor)


def breaks_by_one(executor: Executor, fault: BaseException | None) -> bool:
    """Whether an exception from one function means that the whole executor is broken."""
    if callable(getattr(executor, "kill", None)):
        # A lost process is a subclass of it, and costs only its own function.
        return type(fault) is BrokenExecutor
    kind = BrokenThreadPool if runs_threads(executor) else BrokenExecutor
    return isinstance(fault, kind)


def _kill_processes(executor: Executor) -> None:
    # There is no public API for this before Python 3.14.
    processes: dict[int, Any] | None = getattr(executor, "_processes", None)
    for process in list((processes or {}).values()):
        process.kill()
