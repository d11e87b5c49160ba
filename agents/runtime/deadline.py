"""Waits for something, but not too long, and is cancelled when it is told to be."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """Do some work within a time.

    Unlike `asyncio.wait_for` before Python 3.12, it doesn't lose a cancel that comes in the moment
    in which the work is done.

    Args:
        seconds: how long the work may take.
        work: the work; it is cancelled when its time is over.

    Raises:
        asyncio.TimeoutError: it took longer.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait([task], timeout=max(seconds, 0.0))
        if not done:
            raise asyncio.TimeoutError
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
