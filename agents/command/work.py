"""`muster worker`: joins a manager by its ticket and works until the manager shuts down."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ...messages import InvalidInput, TaskAssignment, TaskResult
from ..dask_cluster import DaskCluster
from ..ticket import Ticket, read_ticket, show_text
from ..worker import SpecializedWorker
from .ending import SUCCEEDED, complain
from .interrupts import Interrupts, children_hold_back_ctrl_c, ignore_ctrl_c
from .parent import leaving_with_parent

TICKET_BEGINS = "muster:"
LOOK_FOR_TICKET_EVERY_S = 0.1


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


async def work(worker: CountingWorker, *, ends_with_parent: bool = False) -> int:
    """Run a worker until its manager shuts down, or until it is interrupted.

    Args:
        worker: the worker.
        ends_with_parent: whether it also stops with the process that started this one.

    Returns:
        The exit code.

    Raises:
        JoinRefused: the manager does not want it.
    """
    async with contextlib.AsyncExitStack() as stack:
        # Ctrl-C reaches a parent as well, who then decides.
        await stack.enter_async_context(Interrupts(worker.stop, heed_ctrl_c=not ends_with_parent))
        if ends_with_parent:
            await stack.enter_async_context(leaving_with_parent(worker))
        await worker.start_agent()
    sys.stdout.write(f"{worker.account()}\n")
    sys.stdout.flush()
    return SUCCEEDED


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
        complain(f"waiting up to {patience_s:g} s for the ticket file {show_text(text_or_path)}")
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(LOOK_FOR_TICKET_EVERY_S)
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


def choose_where(threads: int | None, processes: int | None, dask: str | None) -> Where:
    """Where plain handlers run.

    Raises:
        InvalidInput: more than one place is wanted, or no Dask scheduler answers.
        ExtraMissing: Dask is not installed.
    """
    places = {"--threads": threads, "--processes": processes, "--dask": dask}
    wanted = [option for option, given in places.items() if given is not None]
    if len(wanted) > 1:
        raise InvalidInput(f"{' and '.join(wanted)} exclude each other; give one of them")
    if threads is not None:
        return Where(partial(ThreadPoolExecutor, threads, "muster-handler"), threads)
    if processes is not None:
        return Where(partial(_make_pool, processes), processes)
    if dask is not None:
        cluster = DaskCluster(dask)
        return Where(cluster, cluster.count_threads())
    return Where(None, 1)


def _make_pool(processes: int) -> ProcessPoolExecutor:
    # Forking would copy locks that Ceylon's threads may hold at that moment.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, initializer=ignore_ctrl_c)
    with children_hold_back_ctrl_c():
        # A pool starts a process for each piece of work until it has them all.
        for _ in range(processes):
            pool.submit(os.getpid)
    return pool


def run_worker(worker: CountingWorker, *, ends_with_parent: bool = False) -> int:
    """Run a worker, and after it end the processes of its handlers; see `work`."""
    try:
        return asyncio.run(work(worker, ends_with_parent=ends_with_parent))
    finally:
        for child in multiprocessing.active_children():
            child.terminate()
