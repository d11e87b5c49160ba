"""Streams server-sent events to one page, until it leaves or stops reading."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import cast

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

READ_TIMEOUT_S = 20.0
"""How long a page may take to read one frame, in seconds."""

CLOSE_TIMEOUT_S = 60.0
"""How long the system may take to close the connection of such a page, in seconds."""


class EventStream(Response):
    """Sends frames until they end, the page leaves, or it stops reading.

    Nothing is queued for a page: the next frame is requested when the previous one was sent.

    Args:
        frames: server-sent events.
        read_timeout_s: how long the page may take to read one, in seconds; None:
            `READ_TIMEOUT_S`.
    """

    media_type = "text/event-stream"

    def __init__(
        self, frames: AsyncGenerator[bytes, None], read_timeout_s: float | None = None
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._frames = frames
        self._read_timeout_s = READ_TIMEOUT_S if read_timeout_s is None else read_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        del scope
        sending = asyncio.ensure_future(self._send(send))
        leaving = asyncio.ensure_future(_leaves(receive))
        try:
            await asyncio.wait([sending, leaving], return_when=asyncio.FIRST_COMPLETED)
            if sending.done() and isinstance(sending.exception(), asyncio.TimeoutError):
                # Another page can take its place; the system closes the connection later.
                await self._frames.aclose()
                await asyncio.wait([leaving], timeout=CLOSE_TIMEOUT_S)
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
            await asyncio.wait_for(send(part), self._read_timeout_s)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _leaves(receive: Receive) -> None:
    while True:
        message = await receive()
        if cast("str", message["type"]) == "http.disconnect":
            return
