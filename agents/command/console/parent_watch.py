"""A worker process that another process started, and that is not to outlive it."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Awaitable, Callable

from ...worker_pool.worker_spec import PARENT_VARIABLE

PARENT_POLL_INTERVAL_S = 0.5


@contextlib.asynccontextmanager
async def stop_with_parent(stop: Callable[[], Awaitable[None]]) -> AsyncGenerator[None, None]:
    """While it is entered, call `stop` as soon as the process that started this one is gone."""
    leaving = asyncio.create_task(_leave_with_parent(stop))
    try:
        yield
    finally:
        leaving.cancel()


async def _leave_with_parent(stop: Callable[[], Awaitable[None]]) -> None:
    # A parent that was killed can't tell its workers that it is over. What is told of it is not
    # handed on: to those whom this process starts it would be wrong.
    told = os.environ.pop(PARENT_VARIABLE, "")
    parent = int(told) if told.isdecimal() else os.getppid()
    while os.getppid() == parent:  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(PARENT_POLL_INTERVAL_S)
    await stop()
