"""A call that never began at a server at a URL is made once it is back, whatever its tool does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import uvicorn
from muster.agents.mcp import server as server_module
from muster.agents.mcp.server import CallInterrupted, McpServer
from starlette.requests import Request
from starlette.responses import JSONResponse, Response


class Sessions:
    """A server of MCP with one tool, which does not say that it may be repeated.

    Args:
        refusal: how it answers the next call; 0 for a good answer.
    """

    def __init__(self, refusal: int = 0) -> None:
        self.refusal = refusal
        self.called = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        answer = self._answer(await Request(scope, receive).body(), scope["method"])
        await answer(scope, receive, send)

    def _answer(self, body: bytes, method: str) -> Response:
        if method != "POST":
            return Response(status_code=405)
        message = json.loads(body)
        if "id" not in message:
            return Response(status_code=202)
        match message["method"]:
            case "initialize":
                server = {"name": "s", "version": "1"}
                result = {"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": server}
            case "tools/list":
                result = {"tools": [{"name": "pay", "inputSchema": {"type": "object"}}]}
            case _:
                status, self.refusal = self.refusal, 0
                if status:
                    return JSONResponse({"error": "no"}, status)
                self.called += 1
                result = {"content": [{"type": "text", "text": "paid"}]}
        return JSONResponse({"jsonrpc": "2.0", "id": message["id"], "result": result})

    @contextlib.asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncGenerator[int]:
        listening = socket.create_server(("127.0.0.1", port))
        config = uvicorn.Config(self, lifespan="off", log_config=None, ws="none")
        server = uvicorn.Server(config)
        server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
        running = asyncio.create_task(server.serve(sockets=[listening]))
        yield listening.getsockname()[1]
        server.should_exit = True
        await running
        listening.close()


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "FIRST_PAUSE_S", 0.01)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 429])
async def test_a_call_that_the_server_refused_is_made_again(status: int) -> None:
    sessions = Sessions()
    async with sessions.serving() as port, McpServer(f"http://127.0.0.1:{port}/mcp") as server:
        sessions.refusal = status
        assert await server.call("pay") == "paid"
        assert sessions.called == 1


async def test_a_call_to_a_server_that_is_down_waits_for_it() -> None:
    sessions = Sessions()
    async with contextlib.AsyncExitStack() as stack:
        async with sessions.serving() as port:
            server = await stack.enter_async_context(McpServer(f"http://127.0.0.1:{port}/mcp"))
        paying = asyncio.create_task(server.call("pay"))
        await asyncio.sleep(0.1)
        await stack.enter_async_context(sessions.serving(port))
        assert await paying == "paid"
        assert sessions.called == 1


async def test_a_call_that_may_have_begun_is_not_made_again() -> None:
    sessions = Sessions()
    async with sessions.serving() as port, McpServer(f"http://127.0.0.1:{port}/mcp") as server:
        sessions.refusal = 500
        with pytest.raises(CallInterrupted, match="begun, but not known to be done"):
            await server.call("pay")
