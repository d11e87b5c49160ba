"""Checks regularly whether a worker's manager answers, and logs when that changes."""

from __future__ import annotations

import asyncio

from ...messages import InvalidInput, NotConnected
from ..runtime.log import log
from .worker_agent import WorkerAgent


async def check_worker_health(worker: WorkerAgent, every_s: float = 30.0) -> None:
    """Check a worker's connection regularly, and log when it is lost or restored, until cancelled.

    Args:
        worker: the worker to check.
        every_s: how often to check, in seconds.

    Raises:
        InvalidInput: `every_s` is not above 0.
    """
    if not every_s > 0:
        raise InvalidInput(f"every_s is {every_s}; it must be above 0")
    is_connected = True
    while True:
        was_connected = is_connected
        try:
            await worker.ping()
            is_connected = True
        except NotConnected as fault:
            is_connected = False
            if was_connected:
                log.error("a worker is disconnected", worker=worker.name, why=str(fault))
        if is_connected and not was_connected:
            log.info("a worker is connected again", worker=worker.name)
        await asyncio.sleep(every_s)
