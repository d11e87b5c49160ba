"""`McpHandlers`: handlers whose task types are the tools of MCP servers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import cast

from typing_extensions import Self, override

from ...messages import InvalidInput, Payload, Task, TaskAssignment, WrongCall
from ...messages.functions import TaskFunction
from ...messages.web_errors import McpUnusable
from ..execution.handler_executor import HandlerExecutor
from ..execution.handler_requests import RetryLater, TaskDeclined, WorkInterrupted, WrongArguments
from ..execution.handlers import Handlers, TaskContext
from ..runtime.log import log
from .server import CallInterrupted, McpServer, McpTool, ToolGone

RETRY_AFTER_S = 10.0
"""After what time a task is tried again whose server is not back, in seconds."""


class McpHandlers(Handlers):
    """Handlers of a worker whose task types are the tools of MCP servers.

    ```python
    async with McpHandlers(McpServer("mcp-server-git", prefix="git.")) as handlers:
        worker = WorkerAgent("Ada", skill_level=5, handlers=handlers, ticket=ticket)
        await worker.start_agent()
    ```

    Use it in the worker's event loop. Functions can be registered beside the tools. When a server
    has other tools, the worker tells its manager.

    Args:
        servers: the servers.
    """

    def __init__(self, *servers: McpServer) -> None:
        super().__init__()
        self._servers = servers
        self._tools: dict[str, McpTool] = {}
        self._former: set[str] = set()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Start the servers, and take their tools as task types.

        Raises:
            McpUnusable: a server can't be started or reached, or has no tools.
            InvalidInput: two servers have a tool of the same name.
        """
        try:
            await asyncio.gather(*(each.start() for each in self._servers))
            self._check_tools()
        except BaseException:
            await self.close()
            raise
        for each in self._servers:
            each.when_tools_change(self._take_tools)
        self._take_tools()

    async def close(self) -> None:
        """End the servers that are processes."""
        await asyncio.gather(*(each.stop() for each in self._servers))

    def _check_tools(self) -> None:
        owners = dict.fromkeys(self, "a handler")
        for server in self._servers:
            if not server.tools:
                raise McpUnusable(f"the MCP server {server.address} has no tools")
            for tool in server.tools.values():
                if tool.name in owners:
                    raise InvalidInput(
                        f"the MCP server {server.address} has a tool {tool.name!r}, and so has "
                        f"{owners[tool.name]}; give the server a prefix, such as --prefix files."
                    )
                owners[tool.name] = f"the MCP server {server.address}"

    def _take_tools(self) -> None:
        """Take the tools that the servers have now."""
        tools: dict[str, McpTool] = {}
        for server in self._servers:
            for tool in server.tools.values():
                if tool.name in tools or (tool.name in self and tool.name not in self._tools):
                    log.warning("left out a tool: its name is taken", tool=tool.name)
                else:
                    tools[tool.name] = tool
        self._former |= self._tools.keys()
        for name in self._tools.keys() - tools.keys():
            self.remove(name)
        for name in tools.keys() - self._tools.keys():
            self.task(name)(self._call)
        self._tools = tools
        self.tell_change()

    async def _call(self, task: Task, context: TaskContext) -> Payload:
        tool = self._tools.get(task.type or "")
        if tool is None:
            raise TaskDeclined(f"the tool {task.type!r} is gone")

        def tell(percent: float | None, note: str) -> None:
            nonlocal last
            last = last if percent is None else percent
            context.progress(last, note)

        last = 0.0
        try:
            tool.check(task.data)
            arguments = cast("Mapping[str, Payload] | None", task.data)
            return await tool.call(arguments, tell, repeats=bool(task.max_losses))
        except WrongCall as fault:
            raise WrongArguments(str(fault)) from None
        except ToolGone as fault:
            raise TaskDeclined(str(fault)) from None
        except CallInterrupted as fault:
            raise WorkInterrupted(str(fault)) from None
        except McpUnusable as fault:
            raise RetryLater(RETRY_AFTER_S, str(fault)) from None

    # ------------------------------------------------------------------ as handlers

    @property
    @override
    def task_types(self) -> tuple[str, ...] | None:
        # While no server has tools, it takes no tasks, and not those of any type.
        return tuple(self)

    @property
    @override
    def at_most_once_types(self) -> tuple[str, ...]:
        return tuple(each.name for each in self._tools.values() if not each.may_be_repeated)

    @override
    def functions(self) -> list[TaskFunction]:
        tools = self._tools
        return [
            *(each for each in super().functions() if each.type not in tools),
            *(
                TaskFunction(
                    type=each.name,
                    description=each.description,
                    parameters=dict(each.schema),
                    is_checked=True,
                )
                for each in tools.values()
            ),
        ]

    @override
    def check(self, task: Task) -> None:
        tool = self._tools.get(task.type or "")
        if tool is not None:
            tool.check(task.data)
        super().check(task)

    @override
    def start(
        self, assignment: TaskAssignment, executor: HandlerExecutor
    ) -> Awaitable[Payload] | None:
        if assignment.task.type not in self and assignment.task.type in self._former:
            raise TaskDeclined(f"the tool {assignment.task.type!r} is gone")
        return super().start(assignment, executor) or self.run(assignment, executor)
