"""A response that goes on: server-sent events for one page, dropped if it does not read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import cast

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

READ_WITHIN_S = 20.0
"""How long a page may take to take in one frame."""

GIVEN_UP_WITHIN_S = 60.0
"""How long the system may take to give up the connection of a page that does not read."""


class EventStream(Response):
    """Sends frames as they come, until they end, or the page leaves or does not read.

    Nothing is queued for a page: the next frame is asked for when the last one is under way.

    Args:
        frames: server-sent events.
        read_within_s: how long the page may take to take in one, in seconds; `READ_WITHIN_S` if
            None.
    """

    media_type = "text/event-stream"

    def __init__(
        self, frames: AsyncGenerator[bytes, None], read_within_s: float | None = None
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._frames = frames
        self._read_within_s = READ_WITHIN_S if read_within_s is None else read_within_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        del scope
        sending = asyncio.ensure_future(self._send(send))
        leaving = asyncio.ensure_future(_leaves(receive))
        try:
            await asyncio.wait([sending, leaving], return_when=asyncio.FIRST_COMPLETED)
            if sending.done() and isinstance(sending.exception(), asyncio.TimeoutError):
                # Its place is free for another; the connection ends when the system gives it up.
                await self._frames.aclose()
                await asyncio.wait([leaving], timeout=GIVEN_UP_WITHIN_S)
        finally:
            for future in (sending, leaving):
                future.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
            await self._frames.aclose()

    async def _send(self, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        async for frame in self._frames:
            part = {"type": "http.response.body", "body": frame, "more_body": True}
            await asyncio.wait_for(send(part), self._read_within_s)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _leaves(receive: Receive) -> None:
    while True:
        message = await receive()
        if cast("str", message["type"]) == "http.disconnect":
            return
