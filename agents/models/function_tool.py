"""A Python function with typed arguments as a tool of a model."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from typing import Any, TypeAlias, cast

from ...messages import InvalidInput, Payload
from ...messages.wording import show
from ..execution.arguments import Arguments
from ..execution.handlers import TaskContext
from ..execution.parameters import is_generator, name_of, parameters_of, returns_coroutine
from ..mcp.server import McpServer
from ..runtime.daemon_threads import DaemonThreads
from .mcp_tools import McpToolSource
from .tool import JsonSchema, Tool, ToolSource

ToolLike: TypeAlias = "Callable[..., Any] | McpServer | Tool | ToolSource"
"""What `ModelHandlers` takes as a tool: a typed function, an MCP server, or something like them."""

_MAX_THREADS = 32
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_threads: list[DaemonThreads] = []


class FunctionTool:
    """A function as a tool; plain functions run in threads.

    Args:
        function: a function whose parameters are annotated. One that is annotated as `TaskContext`
            takes the context of the task. Its docstring is the description.

    Raises:
        InvalidInput: it can't be a tool; the message says why.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        name = getattr(function, "__name__", "")
        if inspect.isclass(function) or is_generator(function) or not _NAME.fullmatch(name):
            raise InvalidInput(
                f"{name_of(function)} can't be a tool of a model; write a function with a name, "
                "annotated parameters and a return value"
            )
        for each in parameters_of(function) or ():
            if each.kind in (each.VAR_POSITIONAL, each.POSITIONAL_ONLY):
                raise InvalidInput(
                    f"the tool {name!r} takes {each.name!r} by position, but a model gives "
                    "arguments by name"
                )
        self._arguments = Arguments(function, TaskContext)
        self._function = function
        self._is_async = returns_coroutine(function)
        self.name: str = name
        self.description = inspect.getdoc(function) or ""
        self.schema: JsonSchema = self._arguments.json_schema()

    async def call(self, arguments: Mapping[str, Payload], context: TaskContext) -> Payload:
        """Call the function.

        Raises:
            WrongCall: these are not its arguments; names each fault.
            WrongOutput: it returned something else than it declares.
            Exception: what the function raised.
        """
        by_position, by_name = self._arguments.place(self._arguments.read(dict(arguments)), context)
        if self._is_async:
            output = self._function(*by_position, **by_name)
        else:
            here = copy_context()
            output = await asyncio.get_running_loop().run_in_executor(
                _pool(), lambda: here.run(self._function, *by_position, **by_name)
            )
        if inspect.isawaitable(output):
            output = await output
        return self._arguments.plain_output(output)


def _pool() -> DaemonThreads:
    if not _threads:
        _threads.append(DaemonThreads(_MAX_THREADS, "muster-tool"))
    return _threads[0]


def make_tools(given: Sequence[ToolLike]) -> tuple[Tool | ToolSource, ...]:
    """The tools, and the sources of tools, that a user has named.

    Raises:
        InvalidInput: one can't be a tool, or two have the same name.
    """
    made = tuple(map(_make_tool, given))
    check_names([each for each in made if isinstance(each, Tool)])
    return made


def check_names(tools: Sequence[Tool]) -> dict[str, Tool]:
    """The tools by their names.

    Raises:
        InvalidInput: a name can't be sent, or two tools have the same.
    """
    named: dict[str, Tool] = {}
    for each in tools:
        if not _NAME.fullmatch(each.name):
            raise InvalidInput(
                f"a tool is called {show(each.name)}; its name must have 1 to 64 letters, digits, "
                "'_' and '-'"
            )
        if each.name in named:
            raise InvalidInput(f"two tools are called {each.name!r}; rename one of them")
        named[each.name] = each
    return named


def _make_tool(given: object) -> Tool | ToolSource:
    if isinstance(given, McpServer):
        return McpToolSource(given)
    if isinstance(given, Tool | ToolSource):
        return given
    if callable(given):
        return FunctionTool(cast("Callable[..., Any]", given))
    raise InvalidInput(
        f"{show(given)} can't be a tool of a model; give a function with annotated parameters"
    )
