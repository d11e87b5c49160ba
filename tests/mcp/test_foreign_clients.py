"""`muster mcp` serves clients that nobody here wrote, over stdio and over HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client

from .conftest import Team
from .foreign import node_program

pytestmark = [pytest.mark.slow, pytest.mark.ceylon, pytest.mark.processes]

MUSTER = [str(Path(sys.executable).with_name("muster"))]
WITHIN_S = 90


@pytest.fixture(scope="module")
def ticket(team: Team, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("ticket") / "ticket"
    file.write_text(str(team.manager.ticket()))
    return file


@contextmanager
def serving_http(ticket: Path, folder: Path) -> Generator[tuple[str, str]]:
    """`muster mcp --http`; yields its URL and the token."""
    token = folder / "token"
    command = [*MUSTER, "mcp", "--join", str(ticket), "--http", "0", "--token-file", str(token)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().removeprefix("MCP server: ").strip()
            assert process.stdout.readline().startswith("token: in ")
            assert token.stat().st_mode & 0o777 == 0o600
            yield url, token.read_text().strip()
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(WITHIN_S)
    assert process.returncode == 0


async def hand_over_work(streams: Sequence[Any]) -> None:
    session = ClientSession(streams[0], streams[1], timedelta(seconds=WITHIN_S))
    async with session:
        await session.initialize()
        assert "submit_task" in {each.name for each in (await session.list_tools()).tools}
        answer = await session.call_tool("run_greet", {"name": "Eve"})
        assert json.loads(answer.content[0].text)["output"] == "hello Eve"  # type: ignore[union-attr]
        assert (await session.call_tool("submit_task", {"type": "t.add"})).isError
        diagram = (await session.read_resource("muster://diagram")).contents[0]  # type: ignore[arg-type]
        assert diagram.text.startswith("sequenceDiagram")  # type: ignore[union-attr]


async def test_the_package_client_over_stdio(ticket: Path) -> None:
    server = StdioServerParameters(command=MUSTER[0], args=["mcp", "--join", str(ticket)])
    async with stdio_client(server) as streams:
        await hand_over_work(streams)


async def test_the_package_client_over_http(ticket: Path, tmp_path: Path) -> None:
    with serving_http(ticket, tmp_path) as (url, token):
        headers = {"Authorization": f"Bearer {token}"}
        async with streamablehttp_client(url, headers) as streams:
            await hand_over_work(streams)


def inspect(target: Sequence[str], *words: str) -> dict[str, Any]:
    # The first versions take no headers, and the later ones need a newer Node.
    inspector = node_program("@modelcontextprotocol/inspector", "cli/build/cli.js", "0.16.8")
    command = [*inspector, "--cli", *target, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def check_a_call(target: Sequence[str]) -> None:
    calling = ("--method", "tools/call", "--tool-name", "run_greet", "--tool-arg", "name=Eve")
    answer = inspect(target, *calling)
    assert json.loads(answer["content"][0]["text"])["output"] == "hello Eve"


def test_the_inspector_over_stdio(ticket: Path) -> None:
    target = ["-e", f"MUSTER_TICKET={ticket}", *MUSTER, "mcp"]
    tools = {each["name"] for each in inspect(target, "--method", "tools/list")["tools"]}
    assert {"submit_task", "run_greet"} <= tools
    check_a_call(target)


def test_the_inspector_over_http(ticket: Path, tmp_path: Path) -> None:
    with serving_http(ticket, tmp_path) as (url, token):
        target = [url, "--transport", "http", "--header", f"Authorization: Bearer {token}"]
        resources = inspect(target, "--method", "resources/list")["resources"]
        assert "muster://report" in {each["uri"] for each in resources}
        check_a_call(target)


async def test_a_store_is_only_read(tmp_path: Path) -> None:
    store = tmp_path / "run.db"
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text('{"id": 7}\n')
    # In a process of its own, since the event loop of the team is another one.
    playing = ["manager", "--tasks", str(tasks), "--workers", "1:1", "--port", "0"]
    words = [*MUSTER, *playing, "--time-scale", "0.01", "--store", str(store)]
    subprocess.run(words, check=True, timeout=WITHIN_S, capture_output=True)  # noqa: ASYNC221
    server = StdioServerParameters(command=MUSTER[0], args=["mcp", "--store", str(store)])
    async with stdio_client(server) as streams, ClientSession(*streams) as session:
        await session.initialize()
        names = {each.name for each in (await session.list_tools()).tools}
        assert names == {"task_status", "why", "list_workers", "list_questions"}
        answer = await session.call_tool("task_status", {"task_id": "7"})
        assert json.loads(answer.content[0].text)["task_id"] == 7  # type: ignore[union-attr]
        assert (await session.read_resource("muster://report")).contents  # type: ignore[arg-type]


def test_nothing_but_messages_is_on_stdout_and_bad_lines_do_no_harm(ticket: Path) -> None:
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "x", "version": "1"},
        },
    }
    with subprocess.Popen(
        [*MUSTER, "mcp", "-vv"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "MUSTER_TICKET": str(ticket)},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"no json\n\n{}\n" + json.dumps(hello).encode() + b"\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["result"]["serverInfo"]["name"] == "muster"
        process.stdin.close()
        assert process.stdout.read() == b""
        assert process.wait(WITHIN_S) == 0
