"""Waits for something until a timeout."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

_T = TypeVar("_T")

_SHORTEST_S = 0.05
"""How long to wait at least before looking again how much of the time does not count."""


async def within(
    timeout_s: float, awaitable: Awaitable[_T], not_counted_s: Callable[[], float] | None = None
) -> _T:
    """Wait for something, and cancel it after a timeout.

    Unlike `asyncio.wait_for` before Python 3.12, it does not lose a cancellation that comes at the
    moment at which the result is there.

    Args:
        timeout_s: how long to wait, in seconds.
        awaitable: what to wait for; if it is cancelled, its cancellation is waited for too.
        not_counted_s: how much of the time so far does not count; None for nothing.

    Raises:
        asyncio.TimeoutError: it takes longer.
    """
    loop = asyncio.get_running_loop()
    began_at = loop.time()
    future = asyncio.ensure_future(awaitable)
    # If this is cancelled, nobody else looks at the exception, and asyncio would log it.
    future.add_done_callback(_mark_retrieved)
    try:
        await asyncio.wait([future], timeout=max(timeout_s, 0.0))
        while not future.done() and not_counted_s is not None:
            left_s = began_at + timeout_s + not_counted_s() - loop.time()
            if left_s <= 0:
                break
            await asyncio.wait([future], timeout=max(left_s, _SHORTEST_S))
        if not future.done():
            raise asyncio.TimeoutError
        return future.result()
    finally:
        if not future.done():
            future.cancel()
            await asyncio.wait([future])


def _mark_retrieved(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
