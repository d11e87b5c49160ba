"""Stops a worker process when its parent process ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Awaitable, Callable

from ...worker_pool.worker_spec import PARENT_VARIABLE

PARENT_POLL_INTERVAL_S = 0.5


@contextlib.asynccontextmanager
async def stop_with_parent(stop: Callable[[], Awaitable[None]]) -> AsyncGenerator[None, None]:
    """A context manager that calls `stop` when the parent process has ended."""
    watching = asyncio.create_task(_watch_parent(stop))
    try:
        yield
    finally:
        watching.cancel()


async def _watch_parent(stop: Callable[[], Awaitable[None]]) -> None:
    # A parent that is killed can't stop its workers. Child processes must not inherit the variable,
    # because their parent is this process.
    parent_pid = os.environ.pop(PARENT_VARIABLE, "")
    parent = int(parent_pid) if parent_pid.isdecimal() else os.getppid()
    while os.getppid() == parent:  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(PARENT_POLL_INTERVAL_S)
    await stop()
