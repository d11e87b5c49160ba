"""A worker of an MCP server at a URL: calls, progress, a token in a header, and a restart."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import pytest
from muster.agents import TaskManager
from muster.agents.command.mcp_options import read_mcp_options
from muster.messages import InvalidInput, Task

SERVER = """
import os, sys, asyncio
import uvicorn
from mcp.server.fastmcp import Context, FastMCP
from mcp.types import ToolAnnotations

server = FastMCP("clock", log_level="ERROR")


@server.tool(annotations=ToolAnnotations(readOnlyHint=True))
async def count(to: int) -> str:
    return f"counted to {to}, process {os.getpid()}"


@server.tool()
async def hang(context: Context) -> str:
    await context.report_progress(1, 2, "at the gate")
    await asyncio.sleep(600)


app = server.streamable_http_app()


async def guard(scope, receive, send):
    if scope["type"] == "http":
        if (b"authorization", b"Bearer sesame") not in scope["headers"]:
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
    await app(scope, receive, send)


uvicorn.run(guard, host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
"""


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("Authorization", "is no header and environment variable; write, for example, Auth"),
        ("a b=HOME", "is no header and environment variable"),
        ("Authorization=NO_SUCH_THING", "there is no such environment variable; set it first"),
        ("Authorization=ODD", "the variable's value can't be a header"),
    ],
)
def test_headers_that_can_not_be(header: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODD", "secret\nX: y")
    with pytest.raises(InvalidInput) as raised:
        read_mcp_options(["http://127.0.0.1:1/mcp"], [], [], [header])
    assert told in str(raised.value)
    assert "secret" not in str(raised.value)


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.ceylon
def test_a_server_at_a_url_works_for_a_worker_and_may_be_restarted(tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(SERVER)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    async def serve() -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "server.py", str(port)), cwd=tmp_path
        )
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return process

    async def work(token: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "muster.agents.command", "worker", "--name", "Ada"),
            *("--join", str(manager.ticket()), "--skill", "5", "--slots", "2"),
            *("--mcp", f"http://127.0.0.1:{port}/mcp", "--mcp-header", "Authorization=TOKEN"),
            "--ends-with-parent",
            env={**os.environ, "TOKEN": token},
            stderr=asyncio.subprocess.PIPE,
        )

    manager = TaskManager(port=0, quiet=True)

    async def main() -> None:
        await manager.start()
        server = await serve()
        refused = await work("Bearer wrong")
        _, told = await refused.communicate()
        assert b"HTTP status 401; check the headers, such as Authorization" in told
        assert b"wrong" not in told
        worker = await work("Bearer sesame")
        first = await manager.submit(Task("one", type="count", data={"to": 3}))
        assert first.output == {"result": f"counted to 3, process {server.pid}"}
        hanging = asyncio.ensure_future(manager.submit(Task("two", type="hang")))
        # What a call tells just before it ends may come too late; this one goes on.
        while not any("at the gate" in str(each.story) for each in manager.board.tasks.values()):
            await asyncio.sleep(0.05)
        os.kill(server.pid, signal.SIGKILL)
        await server.wait()
        server = await serve()
        again = await manager.submit(Task("three", type="count", data={"to": 1}))
        assert again.output == {"result": f"counted to 1, process {server.pid}"}
        interrupted = await hanging
        assert "WorkInterrupted: begun, but not known to be done" in interrupted.error_message
        await manager.stop()
        await worker.wait()
        server.kill()
        await server.wait()

    asyncio.run(asyncio.wait_for(main(), 300))
