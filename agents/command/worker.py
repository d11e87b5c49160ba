"""`muster worker`: joins a manager by its ticket and works until the manager shuts down.

A process may hold several workers; each has a name and slots of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ...messages import InvalidInput, TaskAssignment, TaskResult
from ..runtime.daemon_threads import DaemonThreads
from ..runtime.garbage import collect_garbage_less_often
from ..security.ticket import Ticket, read_ticket, show_text
from ..worker.dask_cluster import DaskCluster
from ..worker.worker_agent import SpecializedWorker
from .console.exit import EXIT_OK, print_message
from .console.interrupts import Interrupts
from .console.parent_watch import stop_with_parent
from .output import write_line

TICKET_BEGINS = "muster:"
TICKET_POLL_INTERVAL_S = 0.1


class CountingWorker(SpecializedWorker):
    """A worker that counts what it did; its history keeps only the latest results."""

    done = 0
    succeeded = 0

    async def perform(self, assignment: TaskAssignment) -> TaskResult:
        """Do a task, and count it."""
        self.done += 1
        result = await super().perform(assignment)
        self.succeeded += result.success
        return result

    def account(self) -> str:
        """What it did, such as "Ada: 12 tasks, 11 succeeded"."""
        tasks = "task" if self.done == 1 else "tasks"
        return f"{self.name}: {self.done:,} {tasks}, {self.succeeded:,} succeeded"


async def work(workers: Sequence[CountingWorker], *, ends_with_parent: bool = False) -> int:
    """Run workers until their manager shuts down, or until they are interrupted.

    Args:
        workers: the workers.
        ends_with_parent: whether they also stop with the process that started this one.

    Returns:
        The exit code.

    Raises:
        JoinRefused: the manager does not want one of them.
    """

    async def stop() -> None:
        await asyncio.gather(*(worker.stop() for worker in workers))

    async with contextlib.AsyncExitStack() as stack:
        # Ctrl-C reaches a parent as well, who then decides.
        await stack.enter_async_context(Interrupts(stop, handle_sigint=not ends_with_parent))
        if ends_with_parent:
            await stack.enter_async_context(stop_with_parent(stop))
        running = [asyncio.ensure_future(worker.start_agent()) for worker in workers]
        done, going_on = await asyncio.wait(running, return_when=asyncio.FIRST_EXCEPTION)
        if going_on:
            # One can't work: that is for a person to mend, and hands on what the others hold.
            await stop()
            await asyncio.wait(going_on)
        for each in done:
            each.result()
    for worker in workers:
        write_line(worker.account())
    return EXIT_OK


def agent_names(name: str, agents: int) -> tuple[str, ...]:
    """What the agents of one process are called: Ada, or Ada-1, Ada-2 and so on."""
    if agents == 1:
        return (name,)
    return tuple(f"{name}-{number}" for number in range(1, agents + 1))


def wait_for_ticket(text_or_path: str, patience_s: float) -> Ticket | Path:
    """Read a ticket; if it is in a file that isn't there yet, wait for the file.

    From a file a worker reads it again when it must, so that it survives its manager's restart.

    Args:
        text_or_path: the ticket, or the path of its file.
        patience_s: how long to wait, in seconds.

    Returns:
        The ticket, or the path of its file.

    Raises:
        InvalidInput: the file did not come, or what was given is not a ticket.
    """
    path = Path(text_or_path)
    if not text_or_path.strip() or text_or_path.strip().startswith(TICKET_BEGINS):
        return read_ticket(text_or_path)
    deadline = time.monotonic() + patience_s
    if patience_s > 0 and not path.exists():
        print_message(
            f"waiting up to {patience_s:g} s for the ticket file {show_text(text_or_path)}"
        )
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(TICKET_POLL_INTERVAL_S)
    read_ticket(path)
    return path


class Where(NamedTuple):
    """Where plain handlers run.

    Args:
        make_executor: makes what runs them; None for as many threads as the worker has slots.
        slots: how many can run at once there.
    """

    make_executor: Callable[[], Executor] | None
    slots: int


def choose_executor(
    threads: int | None,
    processes: int | None,
    dask: str | None,
    *,
    kill_after_s: float | None = None,
) -> Where:
    """Where plain handlers run.

    Raises:
        InvalidInput: more than one place is wanted, no Dask scheduler answers, or what runs there
            is to be killed and can't be.
        ExtraMissing: Dask is not installed.
    """
    places = {"--threads": threads, "--processes": processes, "--dask": dask}
    wanted = [option for option, given in places.items() if given is not None]
    if len(wanted) > 1:
        raise InvalidInput(f"{' and '.join(wanted)} exclude each other; give one of them")
    if kill_after_s is not None and processes is None:
        raise InvalidInput(
            "--kill-after kills the process of a handler, and these run in "
            f"{'a cluster' if dask else 'threads'}; give --processes N as well, or leave it out"
        )
    if threads is not None:
        return Where(partial(DaemonThreads, threads, "muster-handler"), threads)
    if processes is not None:
        return Where(partial(_make_pool, processes), processes)
    if dask is not None:
        cluster = DaskCluster(dask)
        return Where(cluster, cluster.count_threads())
    return Where(None, 1)


def _make_pool(processes: int) -> Executor:
    from ..execution.process_pool import ProcessPool  # noqa: PLC0415 - few workers have one

    return ProcessPool(processes)


def run_workers(workers: Sequence[CountingWorker], *, ends_with_parent: bool = False) -> int:
    """Run workers, and after them end the processes of their handlers; see `work`."""
    collect_garbage_less_often()
    try:
        return asyncio.run(work(workers, ends_with_parent=ends_with_parent))
    finally:
        for child in multiprocessing.active_children():
            child.terminate()
