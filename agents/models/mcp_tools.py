"""The tools of an MCP server as tools of a model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ...messages import Payload
from ..execution.handlers import TaskContext
from ..mcp.server import McpServer, McpTool
from .tool import JsonSchema, Tool

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")
_MAX_NAME_CHARACTERS = 64


class McpToolSource:
    """The tools that a started MCP server has at the time.

    Args:
        server: the server; whoever made it starts and stops it.
    """

    def __init__(self, server: McpServer) -> None:
        self._server = server

    async def list_tools(self) -> Sequence[Tool]:
        """The tools; models take no "." or "/" in names, so that becomes "_"."""
        return [_McpModelTool(each) for each in self._server.tools.values()]


class _McpModelTool:
    def __init__(self, tool: McpTool) -> None:
        self._tool = tool
        self.name = _NOT_IN_NAMES.sub("_", tool.name)[:_MAX_NAME_CHARACTERS]
        self.description = tool.description
        self.schema: JsonSchema = tool.schema

    async def call(self, arguments: Mapping[str, Payload], context: TaskContext) -> Payload:
        del context
        return await self._tool.call(arguments)
