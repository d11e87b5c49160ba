"""A worker process that another process started, and that is not to outlive it."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator

from ..worker import WorkerAgent

LOOK_FOR_PARENT_EVERY_S = 0.5


@contextlib.asynccontextmanager
async def leaving_with_parent(worker: WorkerAgent) -> AsyncGenerator[None, None]:
    """While it is entered, stop the worker as soon as the process that started this one is gone."""
    leaving = asyncio.create_task(_leave_with_parent(worker))
    try:
        yield
    finally:
        leaving.cancel()


async def _leave_with_parent(worker: WorkerAgent) -> None:
    # A parent that was killed can't tell its workers that it is over.
    parent = os.getppid()
    while os.getppid() == parent:  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(LOOK_FOR_PARENT_EVERY_S)
    await worker.stop()
