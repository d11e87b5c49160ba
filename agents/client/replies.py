"""Sets the reply of a manager as the outcome of a future."""

from __future__ import annotations

import asyncio

from ...messages import MusterError, Payload


def set_reply(future: asyncio.Future[Payload], reply: Payload | MusterError) -> None:
    """Set a reply, or raise the error that it is, unless nobody waits any more."""
    if future.done():
        return
    if isinstance(reply, MusterError):
        future.set_exception(reply)
    else:
        future.set_result(reply)
