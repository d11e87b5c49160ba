"""One session with an MCP server: its requests and notifications, left as the server sends them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, TypeAlias

from ...messages import ExtraMissing, Payload

if find_spec("mcp") is None:
    raise ExtraMissing("MCP", ["mcp"], "mcp")

from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp import ClientSession, types
from mcp.shared.message import SessionMessage

Progress: TypeAlias = Callable[[float | None, str], None]
"""Takes how far a tool has come, in percent if that is known, and a text for people."""

Incoming: TypeAlias = MemoryObjectReceiveStream[SessionMessage | Exception]
Outgoing: TypeAlias = MemoryObjectSendStream[SessionMessage]


class McpSession(ClientSession):
    """A session that leaves what a server answers as it is.

    Checking a hundred thousand contents would stop the worker for a minute.
    """

    def __init__(
        self, incoming: Incoming, outgoing: Outgoing, tools_changed: Callable[[], None]
    ) -> None:
        super().__init__(
            incoming, outgoing, client_info=types.Implementation(name="muster", version="1")
        )
        self._when_tools_change = tools_changed
        self.is_initialized = False

    @property
    def next_number(self) -> int:
        """The id of the next request."""
        return self._request_id

    async def begin(self) -> None:
        """Agree on the protocol."""
        await self.initialize()
        self.is_initialized = True

    async def call(
        self, name: str, arguments: Mapping[str, Payload], take: Progress | None
    ) -> Mapping[str, Any]:
        """Call a tool."""

        async def tell(
            progress: float, total: float | None = None, message: str | None = None
        ) -> None:
            if take is not None:
                take(_percent(progress, total), (message or "")[:1_000])

        params = types.CallToolRequestParams(name=name, arguments=dict(arguments))
        request = types.CallToolRequest(method="tools/call", params=params)
        answer = await self.send_request(
            types.ClientRequest(request), types.Result, progress_callback=tell
        )
        return answer.model_extra or {}

    async def list(self, cursor: str | None) -> Mapping[str, Any]:
        """List the tools of a page."""
        params = types.PaginatedRequestParams(cursor=cursor) if cursor else None
        request = types.ListToolsRequest(method="tools/list", params=params)
        answer = await self.send_request(types.ClientRequest(request), types.Result)
        return answer.model_extra or {}

    async def tell_cancelled(self, number: int) -> None:
        """Tell the server that nobody waits for an answer any more."""
        params = types.CancelledNotificationParams(
            requestId=number, reason="the task was cancelled"
        )
        told = types.CancelledNotification(method="notifications/cancelled", params=params)
        await self.send_notification(types.ClientNotification(told))

    async def _received_notification(self, notification: types.ServerNotification) -> None:
        if isinstance(notification.root, types.ToolListChangedNotification):
            self._when_tools_change()


def _percent(done: float, total: float | None) -> float | None:
    if total is None or not (0 < total < math.inf and 0 <= done < math.inf):
        return None
    return min(100.0 * done / total, 100.0)
