"""Every tool of four MCP servers that nobody here wrote does a task, by command and by URL."""

from __future__ import annotations

import asyncio
import os
import shlex
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from muster.agents import TaskManager, WorkerAgent
from muster.agents.mcp.handlers import McpHandlers
from muster.agents.mcp.server import McpServer
from muster.messages import Task, WrongCall

from .foreign import node_program, python_program

pytestmark = [pytest.mark.slow, pytest.mark.ceylon, pytest.mark.processes]

PREFIX = "@modelcontextprotocol/server-"


def calls_of(folder: Path, repository: Path) -> dict[str, tuple[dict[str, Any], str | None]]:
    """For each tool its arguments and what its output contains; None for a failure of the tool."""
    text, other, made = str(folder / "a.txt"), str(folder / "b.txt"), str(folder / "made")
    repo = {"repo_path": str(repository)}
    utc = {"source_timezone": "UTC", "target_timezone": "Asia/Tokyo"}
    return {
        "all.echo": ({"message": "hello"}, "hello"),
        "all.get-annotated-message": ({"messageType": "success"}, "success"),
        "all.get-env": ({}, "PATH"),
        "all.get-resource-links": ({"count": 2}, "resource_link"),
        "all.get-resource-reference": ({"resourceType": "Blob", "resourceId": 1}, "data"),
        "all.get-structured-content": ({"location": "Chicago"}, "temperature"),
        "all.get-sum": ({"a": 1, "b": 2}, "3"),
        "all.get-tiny-image": ({}, "PNG"),
        "all.gzip-file-as-resource": (
            {"name": "a.gz", "data": "data:text/plain;base64,aGVsbG8=", "outputType": "resource"},
            "x1f",
        ),
        "all.toggle-simulated-logging": ({}, "logging"),
        "all.toggle-subscriber-updates": ({}, "simulated"),
        "all.trigger-long-running-operation": ({"duration": 1, "steps": 4}, "completed"),
        # It is a task of MCP, which this version of the protocol does not know.
        "all.simulate-research-query": ({"topic": "ants"}, None),
        "fs.write_file": ({"path": text, "content": "one\ntwo"}, "wrote"),
        "fs.read_file": ({"path": text}, "one"),
        "fs.read_text_file": ({"path": text, "head": 1}, "one"),
        "fs.read_media_file": ({"path": text}, "octet-stream"),
        "fs.read_multiple_files": ({"paths": [text]}, "two"),
        "fs.edit_file": ({"path": text, "edits": [{"oldText": "two", "newText": "2"}]}, "2"),
        "fs.create_directory": ({"path": made}, "created"),
        "fs.list_directory": ({"path": str(folder)}, "a.txt"),
        "fs.list_directory_with_sizes": ({"path": str(folder)}, "a.txt"),
        "fs.directory_tree": ({"path": str(folder)}, "a.txt"),
        "fs.search_files": ({"path": str(folder), "pattern": "a.*"}, "a.txt"),
        "fs.get_file_info": ({"path": text}, "size"),
        "fs.list_allowed_directories": ({}, str(folder)),
        "fs.move_file": ({"source": text, "destination": other}, "moved"),
        "time.get_current_time": ({"timezone": "UTC"}, "UTC"),
        "time.convert_time": ({**utc, "time": "12:00"}, "21:00"),
        "git.git_status": (repo, "new.txt"),
        "git.git_add": ({**repo, "files": ["new.txt"]}, "staged"),
        "git.git_diff_staged": (repo, "new.txt"),
        "git.git_diff_unstaged": (repo, ""),
        "git.git_commit": ({**repo, "message": "by a tool"}, "committed"),
        "git.git_diff": ({**repo, "target": "HEAD~1"}, "new.txt"),
        "git.git_log": ({**repo, "max_count": 1}, "by a tool"),
        "git.git_show": ({**repo, "revision": "HEAD"}, "by a tool"),
        "git.git_create_branch": ({**repo, "branch_name": "side"}, "side"),
        "git.git_checkout": ({**repo, "branch_name": "side"}, "side"),
        "git.git_branch": ({**repo, "branch_type": "local"}, "side"),
        "git.git_reset": (repo, "reset"),
    }


def make_repository(folder: Path) -> Path:
    folder.mkdir()
    for words in ("init -q", "commit -q --allow-empty -m first"):
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *who, *words.split()], cwd=folder, check=True)
    for key in ("name", "email"):
        subprocess.run(["git", "config", f"user.{key}", "a@example.org"], cwd=folder, check=True)
    (folder / "new.txt").write_text("new")
    return folder


async def call_each(
    manager: TaskManager,
    handlers: McpHandlers,
    calls: Mapping[str, tuple[dict[str, Any], str | None]],
) -> None:
    """Have each tool that the server has do a task, and see what it outputs."""
    for task_type, (arguments, told) in calls.items():
        if task_type not in handlers:
            continue
        result = await manager.submit(Task(type=task_type, data=arguments, timeout=60))
        if told is None:
            assert not result.success
            continue
        assert result.success, (task_type, result.error_message)
        assert told.lower() in str(result.output).lower(), (task_type, result.output)


async def test_every_tool_of_four_servers_does_a_task(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    calls = calls_of(folder, make_repository(tmp_path / "repository"))
    commands = {
        "all.": node_program(f"{PREFIX}everything", "dist/index.js"),
        "fs.": [*node_program(f"{PREFIX}filesystem", "dist/index.js"), str(folder)],
        "time.": python_program("mcp-server-time"),
        "git.": python_program("mcp-server-git"),
    }
    servers = [McpServer(shlex.join(each), prefix=name) for name, each in commands.items()]
    async with McpHandlers(*servers) as handlers:
        # Versions to come may have more tools; those of today must be there.
        assert set(calls) - set(handlers) <= {"all.simulate-research-query"}
        manager = TaskManager(port=0, quiet=True)
        await manager.start(b"", [WorkerAgent("Ada", skill_level=5, handlers=handlers)])
        await call_each(manager, handlers, calls)
        with pytest.raises(WrongCall, match=r"time\.get_current_time needs 'timezone'"):
            await manager.submit(Task(type="time.get_current_time", data={}))
        failed = await manager.submit(Task(type="fs.read_file", data={"path": "/etc/passwd"}))
        assert "outside allowed directories" in failed.error_message
        await manager.stop()


async def serve_everything(port: int) -> asyncio.subprocess.Process:
    """The server of all features, over streamable HTTP."""
    process = await asyncio.create_subprocess_exec(
        *node_program(f"{PREFIX}everything", "dist/index.js"),
        "streamableHttp",
        env={**os.environ, "PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            assert process.returncode is None
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return process


async def test_every_tool_of_a_server_at_a_url_does_a_task_and_again_after_it_was_killed(
    tmp_path: Path,
) -> None:
    calls = {
        name: each for name, each in calls_of(tmp_path, tmp_path).items() if name.startswith("all.")
    }
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = await serve_everything(port)
    try:
        async with McpHandlers(
            McpServer(f"http://127.0.0.1:{port}/mcp", prefix="all.")
        ) as handlers:
            assert set(calls) - set(handlers) <= {"all.simulate-research-query"}
            manager = TaskManager(port=0, quiet=True)
            await manager.start(b"", [WorkerAgent("Ada", skill_level=5, handlers=handlers)])
            await call_each(manager, handlers, calls)
            process.kill()
            await process.wait()
            process = await serve_everything(port)
            # It answers 400, not 404, to the session that it does not know any more. This tool does
            # not say that it may be repeated, and was not begun.
            toggled = await manager.submit(Task(type="all.toggle-simulated-logging", data={}))
            assert "Started" in str(toggled.output)
            await call_each(manager, handlers, calls)
            process.kill()
            await process.wait()
            # The server is down when the task begins.
            task = Task(type="all.toggle-subscriber-updates", data={}, timeout=120)
            toggling = asyncio.ensure_future(manager.submit(task))
            while not any(
                each.attempts for each in manager.board.tasks.values() if not each.result
            ):
                await asyncio.sleep(0.02)
            process = await serve_everything(port)
            toggled = await toggling
            assert "Started" in str(toggled.output)
            await manager.stop()
    finally:
        process.kill()
        await process.wait()
