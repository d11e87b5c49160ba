"""A team with the tools of an MCP server, and what its tests need."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from muster.agents import Client, TaskManager, WorkerAgent
from muster.agents.mcp.handlers import McpHandlers
from muster.agents.mcp.server import McpServer
from muster.agents.runtime.loop_thread import LoopThread
from muster.messages import Task, TaskResult

TOOL_SERVER = Path(__file__).with_name("tool_server.py")
DEADLINE_S = 60.0


def tool_server(folder: Path) -> str:
    """The command of the MCP server of these tests."""
    return f"{sys.executable} {TOOL_SERVER} {folder}"


@dataclass
class Team:
    """A manager, a worker whose task types are tools, and a client.

    Args:
        thread: its event loop.
        folder: where the tools leave traces.
        server: the MCP server.
        manager: the manager.
        client: the client.
    """

    thread: LoopThread
    folder: Path
    server: McpServer
    manager: TaskManager
    client: Client

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.thread.wait_for(asyncio.wait_for(coroutine, DEADLINE_S))

    def submit(self, task_type: str, data: Any = None, **fields: Any) -> TaskResult:
        return self.run(self.client.submit(Task(type=task_type, data=data, **fields)))

    def until(self, is_so: Callable[[], Any]) -> None:
        async def wait() -> None:
            while not is_so():
                await asyncio.sleep(0.02)

        self.run(wait())


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Generator[Team]:
    """It ends with its module: Ceylon runs in one event loop of a process at a time."""
    folder = tmp_path_factory.mktemp("tools")
    thread = LoopThread("team")
    thread.start()
    server = McpServer(tool_server(folder), prefix="t.")
    handlers = McpHandlers(server)

    @handlers.task
    def greet(name: str, times: int = 1) -> str:
        """Greets."""
        return ", ".join(["hello " + name] * times)

    async def start() -> tuple[TaskManager, Client]:
        await handlers.open()
        manager = TaskManager(port=0, quiet=True)
        worker = WorkerAgent("Ada", skill_level=5, slots=4, handlers=handlers)
        await manager.start(b"", [worker])
        client = Client(manager.ticket())
        await client.start()
        return manager, client

    manager, client = thread.wait_for(start())
    try:
        yield Team(thread, folder, server, manager, client)
    finally:

        async def stop() -> None:
            await client.stop()
            await manager.stop()
            await handlers.close()

        thread.wait_for(stop())
        thread.stop()
