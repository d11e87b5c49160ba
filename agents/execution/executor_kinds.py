"""What can be asked of an executor depends on its kind: threads, processes, or something else."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from concurrent.futures.thread import BrokenThreadPool
from typing import Any

from ..runtime.daemon_threads import DaemonThreads


def runs_threads(executor: object) -> bool:
    """Whether functions run in this process: a context can go with them, and nobody kills them."""
    return isinstance(executor, ThreadPoolExecutor | DaemonThreads)


def runs_processes(executor: object) -> bool:
    """Whether functions run in processes of this machine, which can be killed."""
    if callable(getattr(executor, "kill", None)):
        return True
    from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415 - few workers have one

    return isinstance(executor, ProcessPoolExecutor)


def kill(executor: Executor, future: Future[Any]) -> None:
    """Kill the process that does what a future stands for.

    Args:
        executor: whose process it is. One that knows how to kill a single one has a method `kill`.
            Python's own pool does not, and breaks as a whole: all its processes are killed.
        future: what is to end.
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
    """Whether an executor takes nothing any more, by what came of a function that it was given."""
    if callable(getattr(executor, "kill", None)):
        return False
    kind = BrokenThreadPool if runs_threads(executor) else BrokenExecutor
    return isinstance(fault, kind)


def _kill_processes(executor: Executor) -> None:
    # There is no public way before Python 3.14.
    processes: dict[int, Any] | None = getattr(executor, "_processes", None)
    for process in list((processes or {}).values()):
        process.kill()
