"""What can't be an MCP server is told in one line, with what to change."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest
from muster.agents.command.mcp_options import read_mcp_options
from muster.agents.mcp import connection, stdio_process
from muster.agents.mcp.address import McpAddress
from muster.agents.mcp.handlers import McpHandlers
from muster.agents.mcp.server import McpServer
from muster.agents.mcp.tool_output import output_of
from muster.messages import InvalidInput, McpUnusable, ToolFailed

from .conftest import tool_server


@pytest.mark.parametrize(
    ("text", "prefix", "told"),
    [
        ("no-such-program --x", "", "there is no program 'no-such-program' to start"),
        ("  ", "", "is blank; write one such as 'mcp-server-time', or a URL"),
        ("python 'x", "", "can't be split into words: no closing quotation; quote it"),
        ("http://", "", "is no URL of an MCP server"),
        ("https://host:no/mcp", "", "is no URL of an MCP server"),
        ("http://host:99999/mcp", "", "is no URL of an MCP server"),
        ("http://ho st/mcp", "", "is no URL of an MCP server"),
        ("ftp://host/mcp", "", "is no URL of an MCP server; write one such as http://"),
        ("python", "a b", "the prefix 'a b' of an MCP server must be up to 64 letters"),
        ("python", "\x1b[0m", "the prefix '\\x1b[0m' of an MCP server must be"),
    ],
)
def test_an_address_that_can_not_be(text: str, prefix: str, told: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        McpAddress.parse(text, prefix)
    assert told in str(raised.value)


def test_an_address_is_told_without_secrets() -> None:
    url = McpAddress.parse("http://me:key@localhost:1/mcp?key=1", headers={"Authorization": "key"})
    command = McpAddress.parse("python -m x --token key", environment={"TOKEN": "key"})
    for each in (url, command):
        assert "key" not in str(each)
    assert "key" not in repr(command.environment) or "environment" not in repr(command)


@pytest.mark.parametrize(
    ("servers", "prefixes", "variables", "told"),
    [
        (["python", "python"], ["a."], [], "there are 2 --mcp and 1 --prefix"),
        ([], ["a."], [], "--prefix is for the tools of MCP servers; add --mcp"),
        ([], [], ["HOME"], "--mcp-env is for the tools of MCP servers"),
        (["python"], [], ["NO_SUCH_THING"], "there is no such environment variable"),
    ],
)
def test_options_that_do_not_fit(
    servers: list[str], prefixes: list[str], variables: list[str], told: str
) -> None:
    with pytest.raises(InvalidInput) as raised:
        read_mcp_options(servers, prefixes, variables)
    assert told in str(raised.value)


PROGRAMS = {
    "import sys; print('no key', file=sys.stderr); sys.exit(3)": (
        "it ended with exit code 3; it said: 'no key'; check that it is an MCP server"
    ),
    "print('hello')": "it ended with exit code 0; check that it is an MCP server",
    "import sys; sys.stdin.read()": "it did not answer the request to initialize within 2 s",
    "while True: print('junk')": "1,000 lines to stdout that are no messages of MCP",
    "import sys; sys.stdout.write('x' * 9_000_000); sys.stdout.flush(); sys.stdin.read()": (
        "it sent a message of more than 8,388,608 bytes"
    ),
    'input(); print(\'{"jsonrpc": "2.0", "id": 0, "result": {}}\', flush=True); input()': (
        "it answers what is no message of MCP"
    ),
}


@pytest.mark.processes
@pytest.mark.parametrize("program", PROGRAMS)
async def test_a_program_that_is_no_mcp_server(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stdio_process, "GRACE_S", 0.3)
    file = tmp_path / "program.py"
    file.write_text(program)
    server = McpServer(f"{sys.executable} -S {file}", start_timeout_s=30)
    if "read()" in program and "write" not in program:
        server = McpServer(f"{sys.executable} -S {file}", start_timeout_s=2)
    with pytest.raises(McpUnusable) as raised:
        await server.start()
    assert PROGRAMS[program] in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.processes
async def test_a_server_that_does_not_answer_is_told_before_it_is_given_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connection, "TOLD_AFTER_S", 0.05)
    command = f"{sys.executable} -S -c 'import sys; sys.stdin.read()'"
    with pytest.raises(McpUnusable, match="did not answer"):
        await McpServer(command, start_timeout_s=0.5).start()
    assert caplog.text.count("an MCP server has not answered yet") == 1


async def test_a_url_that_is_no_mcp_server() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        # What is left unread would reset the connection, before the answer is read.
        length = re.search(rb"content-length: (\d+)", head.lower())
        await reader.readexactly(int(length[1]) if length else 0)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi")
        writer.close()

    serving = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = serving.sockets[0].getsockname()[1]
    with pytest.raises(McpUnusable, match="check that this is the URL of an MCP server"):
        await McpServer(f"http://127.0.0.1:{port}/").start()
    serving.close()
    await serving.wait_closed()
    with pytest.raises(McpUnusable, match="it can't be reached"):
        await McpServer(f"http://127.0.0.1:{port}/mcp").start()


@pytest.mark.processes
async def test_two_servers_with_the_same_tools_need_a_prefix(tmp_path: Path) -> None:
    command = tool_server(tmp_path)
    with pytest.raises(InvalidInput, match=r"has a tool 'add', and so has .* a prefix, such as"):
        async with McpHandlers(McpServer(command), McpServer(command)):
            pass
    async with McpHandlers(McpServer(command), McpServer(command, prefix="b.")) as handlers:
        assert {"add", "b.add"} <= set(handlers)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"content": [{"type": "text", "text": "it broke"}], "isError": True}, "x: it broke"),
        ({"content": [], "isError": True}, "x failed and does not say why"),
        ({"content": [{"type": "image", "data": "?"}]}, "data that are not base64"),
        ({"content": [{"type": "odd"}]}, "a content of the unknown type 'odd'"),
    ],
)
def test_an_answer_that_is_no_output(answer: dict[str, object], told: str) -> None:
    with pytest.raises(ToolFailed) as raised:
        output_of("x", answer)
    assert told in str(raised.value)
