"""Runs a manager and its workers in this process without a network, in virtual or real time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..manager.task_manager import TaskManager
from ..worker.worker_agent import WorkerAgent
from .memory_network import MemoryNetwork

if TYPE_CHECKING:
    from ..report.model import RunReport


async def rehearse(
    manager: TaskManager,
    workers: Sequence[WorkerAgent],
    network: MemoryNetwork | None = None,
) -> RunReport:
    """Run a manager and workers over a memory network until the run ends.

    In a `VirtualTimeLoop` a run of hours takes a moment, and is reproducible.

    Args:
        manager: a TaskManager, also of a subclass.
        workers: the workers, in the order in which they join.
        network: the network; by default one without faults.

    Returns:
        The report of the run.

    Raises:
        WorkersMissing: expected workers did not join in time, and the manager has
            `on_missing="fail"`.
    """
    network = network or MemoryNetwork()
    manager_link = network.join(manager.name, manager.receive)
    serving = [
        asyncio.ensure_future(worker.serve_over(network.join(worker.name, worker.receive)))
        for worker in workers
    ]
    try:
        await manager.serve_over(manager_link)
        await asyncio.wait(serving, timeout=5.0)
    finally:
        for future in serving:
            future.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
    return manager.report()
