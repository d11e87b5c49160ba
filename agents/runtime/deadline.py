"""Waits with a timeout, and can be cancelled reliably."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """Await some work with a timeout.

    Unlike `asyncio.wait_for` before Python 3.12, it does not lose a cancellation that arrives at
    the moment when the work is done.

    Args:
        seconds: the timeout.
        work: the work; it is cancelled after the timeout.

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
