"""Waits with a timeout."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

_T = TypeVar("_T")


async def within(timeout_s: float, awaitable: Awaitable[_T]) -> _T:
    """Await something with a timeout.

    Unlike `asyncio.wait_for` before Python 3.12, it does not lose a cancellation that arrives at
    the moment when the result does.

    Args:
        timeout_s: the timeout, in seconds.
        awaitable: what to await; it is cancelled after the timeout.

    Raises:
        asyncio.TimeoutError: it takes longer.
    """
    future = asyncio.ensure_future(awaitable)
    try:
        done, _ = await asyncio.wait([future], timeout=max(timeout_s, 0.0))
        if not done:
            raise asyncio.TimeoutError
        return future.result()
    finally:
        if not future.done():
            future.cancel()
            await asyncio.wait([future])
