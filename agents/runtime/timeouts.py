"""Waiting for something, but not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

_T = TypeVar("_T")


async def within(patience_s: float, awaitable: Awaitable[_T]) -> _T:
    """Wait for something, which is cancelled if it takes too long.

    `asyncio.wait_for` did the same, but before Python 3.12 it swallows a cancel that comes at the
    moment at which it has what it waits for.

    Args:
        patience_s: how long to wait, in seconds.
        awaitable: what is waited for.

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
