"""Waits for something until a timeout."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

_T = TypeVar("_T")


async def within(timeout_s: float, awaitable: Awaitable[_T]) -> _T:
    """Wait for something, and cancel it after a timeout.

    Unlike `asyncio.wait_for` before Python 3.12, it does not lose a cancellation that comes at the
    moment at which the result is there.

    Args:
        timeout_s: how long to wait, in seconds.
        awaitable: what to wait for; if it is cancelled, its cancellation is waited for too.

    Raises:
        asyncio.TimeoutError: it takes longer.
    """
    future = asyncio.ensure_future(awaitable)
    # If this is cancelled, nobody else looks at the exception, and asyncio would log it.
    future.add_done_callback(_mark_retrieved)
    try:
        done, _ = await asyncio.wait([future], timeout=max(timeout_s, 0.0))
        if not done:
            raise asyncio.TimeoutError
        return future.result()
    finally:
        if not future.done():
            future.cancel()
            await asyncio.wait([future])


def _mark_retrieved(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
