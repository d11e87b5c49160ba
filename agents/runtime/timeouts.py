"""Waits with a timeout."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

_T = TypeVar("_T")


async def within(patience_s: float, awaitable: Awaitable[_T]) -> _T:
    """Await something that is cancelled after a timeout.

    `asyncio.wait_for` does the same, but before Python 3.12 it swallows a cancellation that arrives
    at the moment when its result does.

    Args:
        patience_s: the timeout, in seconds.
        awaitable: what to await.

    Raises:
        asyncio.TimeoutError: it takes longer.
    """
    future = asyncio.ensure_future(awaitable)
    try:
        done, _ = await asyncio.wait([future], timeout=patience_s)
    finally:
        future.cancel()
    if not done:
        raise asyncio.TimeoutError
    return future.result()
