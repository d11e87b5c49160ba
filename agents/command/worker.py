"""`muster worker`: joins a manager with its ticket and works until the manager shuts down.

A process may run several workers, each with its own name and slots.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import NamedTuple

from typing_extensions import Unpack, override

from ...messages import InvalidInput, TaskAssignment, TaskResult
from ..execution.process_limits import ProcessLimits
from ..runtime.daemon_threads import DaemonThreads
from ..runtime.garbage import collect_garbage_less_often
from ..worker.dask_cluster import DaskCluster
from ..worker.history import TaskHistory
from ..worker.options import WorkerOptions
from ..worker.ray_cluster import RayCluster
from ..worker.specialized_worker import SpecializedWorker
from .console.exit import EXIT_OK, print_finishing
from .console.interrupts import Interrupts
from .console.parent_watch import stop_with_parent
from .output import write_line


class CountingHistory(TaskHistory):
    """A history that also counts the successes among all results, including dropped ones."""

    succeeded = 0

    @override
    def add(self, result: TaskResult, size_bytes: int) -> None:
        self.succeeded += result.success
        super().add(result, size_bytes)


class CountingWorker(SpecializedWorker):
    """A worker that counts all of its tasks; its history keeps only the latest results."""

    def __init__(
        self,
        name: str,
        skill_level: int,
        specialties: Iterable[str],
        **options: Unpack[WorkerOptions],
    ) -> None:
        super().__init__(name, skill_level, specialties, **options)
        self.done = 0
        # Successes are counted when the result is final: an output that can't be encoded turns a
        # success into a failure after `perform`.
        self.task_history = self._results = CountingHistory()

    @property
    def running_count(self) -> int:
        """How many tasks run."""
        return len(self._shell.running)

    async def perform(self, assignment: TaskAssignment) -> TaskResult:
        """Run a task, and count it."""
        self.done += 1
        return await super().perform(assignment)

    def summary(self) -> str:
        """The number of tasks, such as "Ada: 12 tasks, 11 succeeded"."""
        tasks = "task" if self.done == 1 else "tasks"
        return f"{self.name}: {self.done:,} {tasks}, {self._results.succeeded:,} succeeded"


async def _work(
    workers: Sequence[CountingWorker],
    ends_with_parent: bool,
    grace_s: float,
    around: AbstractAsyncContextManager[object] | None,
) -> int:
    async def stop() -> None:
        await asyncio.gather(*(worker.stop() for worker in workers))

    async def finish() -> None:
        if not ends_with_parent:
            print_finishing(sum(worker.running_count for worker in workers), grace_s)
        await asyncio.gather(*(worker.stop(grace_s=grace_s) for worker in workers))

    async with contextlib.AsyncExitStack() as stack:
        if around is not None:
            await stack.enter_async_context(around)
        # The parent receives Ctrl-C too, and decides.
        await stack.enter_async_context(
            Interrupts(stop, handle_sigint=not ends_with_parent, finish=finish if grace_s else None)
        )
        if ends_with_parent:
            await stack.enter_async_context(stop_with_parent(stop))
        running = [asyncio.ensure_future(worker.start_agent()) for worker in workers]
        done, pending = await asyncio.wait(running, return_when=asyncio.FIRST_EXCEPTION)
        if pending:
            # One worker failed to join, which the user must fix. The others stop in an orderly way,
            # so that their tasks go to other workers.
            await stop()
            await asyncio.wait(pending)
        for each in done:
            each.result()
    for worker in workers:
        write_line(worker.summary())
    return EXIT_OK


def agent_names(name: str, agents: int) -> tuple[str, ...]:
    """The names of the workers of one process: Ada, or Ada-1, Ada-2 and so on."""
    if agents == 1:
        return (name,)
    return tuple(f"{name}-{number}" for number in range(1, agents + 1))


class ExecutorChoice(NamedTuple):
    """The executor of plain functions.

    Args:
        create: creates the executor; None is a thread for each slot.
        slots: how many functions the executor runs at once.
    """

    create: Callable[[], Executor] | None
    slots: int


def choose_executor(
    threads: int | None,
    processes: int | None,
    dask: str | None,
    ray: str | None = None,
    *,
    kill_after_s: float | None = None,
    max_tasks_per_child: int | None = None,
    max_memory_mb: float | None = None,
) -> ExecutorChoice:
    """Choose the executor of plain functions.

    Raises:
        InvalidInput: more than one executor is given, no cluster answers, an option for processes
            is given without `--processes`, or a limit of processes is out of range.
        ExtraMissing: Dask or Ray is not installed.
    """
    options = {"--threads": threads, "--processes": processes, "--dask": dask, "--ray": ray}
    place = "threads" if dask is None and ray is None else "a cluster"
    given = [option for option, value in options.items() if value is not None]
    if len(given) > 1:
        raise InvalidInput(f"{' and '.join(given)} exclude each other; give one of them")
    if kill_after_s is not None and processes is None and ray is None:
        raise InvalidInput(
            "--kill-after kills the process of a handler, but handlers run in "
            f"{place}; add --processes N or remove --kill-after"
        )
    limits = {"--max-tasks-per-child": max_tasks_per_child, "--max-memory-mb": max_memory_mb}
    for option, value in limits.items():
        if value is not None and processes is None:
            raise InvalidInput(
                f"{option} replaces the processes of handlers, but handlers run in "
                f"{place}; add --processes N or remove {option}"
            )
    if threads is not None:
        return ExecutorChoice(partial(DaemonThreads, threads, "muster-handler"), threads)
    if processes is not None:
        checked = ProcessLimits(max_tasks_per_child, max_memory_mb)
        return ExecutorChoice(partial(_create_pool, processes, checked), processes)
    if dask is not None:
        cluster = DaskCluster(dask)
        return ExecutorChoice(cluster, cluster.count_threads())
    if ray is not None:
        nodes = RayCluster(ray)
        return ExecutorChoice(nodes, nodes.count_cpus())
    return ExecutorChoice(None, 1)


def _create_pool(processes: int, limits: ProcessLimits) -> Executor:
    from ..execution.process_pool import ProcessPool  # noqa: PLC0415 - few workers use it

    return ProcessPool(
        processes,
        max_tasks_per_child=limits.max_tasks_per_child,
        max_memory_mb=limits.max_memory_mb,
    )


def run_workers(
    workers: Sequence[CountingWorker],
    *,
    ends_with_parent: bool = False,
    grace_s: float = 0.0,
    around: AbstractAsyncContextManager[object] | None = None,
) -> int:
    """Run workers until their manager shuts down or they are interrupted.

    Then it ends the processes of their handlers.

    Args:
        workers: the workers.
        ends_with_parent: whether they also stop when the parent process ends.
        grace_s: for how long tasks go on after SIGTERM, in seconds.
        around: what their handlers need in the event loop, such as MCP servers.

    Returns:
        The exit code.

    Raises:
        JoinRefused: the manager refused one of them.
    """
    collect_garbage_less_often()
    try:
        return asyncio.run(_work(workers, ends_with_parent, grace_s, around))
    finally:
        for child in multiprocessing.active_children():
            child.terminate()
