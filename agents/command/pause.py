"""`muster pause`, `muster resume` and `muster drain`: what a manager assigns, and to whom."""

from __future__ import annotations

from ..client.client import Client


async def pause_run(client: Client) -> str:
    """Pause a manager; returns what to print.

    Args:
        client: a client that is not connected yet.
    """
    async with client:
        running = await client.pause()
    tasks = "1 task runs on" if running == 1 else f"{running:,} tasks run on"
    return f"paused: {tasks}" if running else "paused: no task runs"


async def resume_run(client: Client, worker: str | None) -> str:
    """Resume a manager, or a drained worker; returns what to print.

    Args:
        client: a client that is not connected yet.
        worker: the worker; None for the whole manager.

    Raises:
        InvalidInput: no worker of this name is connected.
    """
    async with client:
        await client.resume(worker)
    return "resumed" if worker is None else f"{worker} gets tasks again"


async def drain_worker(client: Client, worker: str, *, leaves: bool) -> str:
    """Drain a worker; returns what to print.

    Args:
        client: a client that is not connected yet.
        worker: the worker's name.
        leaves: whether it leaves once it has finished its tasks.

    Raises:
        InvalidInput: no worker of this name is connected.
    """
    async with client:
        running = await client.drain(worker, leaves=leaves)
    tasks = "1 task" if running == 1 else f"{running:,} tasks"
    then = "then it leaves" if leaves else "and gets no more until it is resumed"
    return f"{worker} finishes {tasks}, {then}" if running else f"{worker} is idle, {then}"
