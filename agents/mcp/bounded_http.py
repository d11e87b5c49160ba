"""An HTTP client that refuses long messages, and tells what never reached its server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
from mcp.client.streamable_http import MCP_PROTOCOL_VERSION

from .stdio_process import MAX_LINE_BYTES, LineTooLong


def make_bounded_client(
    headers: dict[str, str] | None = None,
    timeout: httpx.Timeout | None = None,
    auth: httpx.Auth | None = None,
) -> httpx.AsyncClient:
    """A client as the package `mcp` makes one, with bounded answers.

    Args:
        headers: headers of each request.
        timeout: its timeouts.
        auth: how it authorizes itself.
    """
    return httpx.AsyncClient(
        headers=headers,
        timeout=timeout,
        auth=auth,
        follow_redirects=True,
        transport=_BoundedTransport(),
    )


class _BoundedTransport(httpx.AsyncHTTPTransport):
    """Ends an answer whose next message is longer than `MAX_LINE_BYTES`.

    A message of a session that has not reached the server, or that it refuses, is answered with
    404, by which the package `mcp` knows that the session has ended and nothing has begun. Many
    servers answer 400 to a session that they do not know any more.
    """

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        is_of_session = request.method == "POST" and MCP_PROTOCOL_VERSION in request.headers
        try:
            response = await super().handle_async_request(request)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            if not is_of_session:
                raise
            return httpx.Response(httpx.codes.NOT_FOUND)
        if is_of_session and response.is_client_error:
            response.status_code = httpx.codes.NOT_FOUND
        is_stream = response.headers.get("content-type", "").startswith("text/event-stream")
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _BoundedStream(response.stream, is_stream=is_stream)
        return response


class _BoundedStream(httpx.AsyncByteStream):
    """Counts the bytes of an answer, or of each event of a stream."""

    def __init__(self, stream: httpx.AsyncByteStream, *, is_stream: bool) -> None:
        self._stream = stream
        self._is_stream = is_stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for part in self._stream:
            blank = max(part.rfind(b"\n\n"), part.rfind(b"\r\n\r\n")) if self._is_stream else -1
            size = len(part) - blank if blank >= 0 else size + len(part)
            if size > MAX_LINE_BYTES:
                raise LineTooLong(f"it sent a message of more than {MAX_LINE_BYTES:,} bytes")
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()
