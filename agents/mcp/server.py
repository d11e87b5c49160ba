"""`McpServer`: one MCP server whose tools are called; it is started again when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from typing_extensions import Self

from ...messages import InvalidInput, Payload, WrongCall
from ...messages.web_errors import McpUnusable, ToolFailed
from ..execution.json_schema import SchemaCheck
from ..runtime.log import log
from .address import McpAddress

if TYPE_CHECKING:
    from .connection import McpConnection

START_TIMEOUT_S = 60.0
"""How long a server may take to start, in seconds: `npx` may have to download it first."""

LIST_TIMEOUT_S = 30.0
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
"""How long to wait before a server is started again: at first, and at last."""

STEADY_AFTER_S = 60.0
"""After what time of service the next pause is the first one again, in seconds."""

WITHDRAWN_AFTER_FAILURES = 3
"""After how many failed starts in a row a server has no tools, until it is back."""

WAIT_S = 60.0
"""How long a call waits for a server that is started again, in seconds."""

MAX_REPETITIONS = 2
MAX_DESCRIPTION_CHARACTERS = 4_000
MAX_SCHEMA_CHARACTERS = 65_536

_NAME = re.compile(r"[A-Za-z0-9_./:-]{1,128}")

TakeProgress: TypeAlias = Callable[["float | None", str], None]
"""Takes how far a tool has come, in percent or None, and a text."""


class CallInterrupted(ToolFailed):
    """The server ended while a tool ran that may have acted."""


class ToolGone(ToolFailed):
    """The server has no tool of this name any more."""


@dataclass(frozen=True)
class McpTool:
    """One tool of an MCP server; its name, description and schema are foreign text.

    Args:
        name: its name with the server's prefix, which is the type of its tasks.
        description: what it does, for people and models.
        schema: the JSON schema of its arguments.
        own_name: its name at the server.
        may_be_repeated: whether the server says that it changes nothing, or nothing more if it is
            called again.
        server: the server.
    """

    name: str
    description: str
    schema: Mapping[str, Any]
    own_name: str
    may_be_repeated: bool
    server: McpServer = field(repr=False)
    _check: SchemaCheck = field(repr=False)

    def check(self, arguments: Payload) -> None:
        """Check arguments against the schema.

        Raises:
            WrongCall: they do not match it.
        """
        self._check.check(arguments)

    async def call(
        self,
        arguments: Mapping[str, Payload] | None = None,
        progress: TakeProgress | None = None,
        *,
        repeats: bool = False,
    ) -> Payload:
        """Call the tool; see `McpServer.call`."""
        return await self.server.call(self.own_name, arguments, progress, repeats=repeats)


class McpServer:
    """An MCP server whose tools can be called from one event loop.

    ```python
    async with McpServer("mcp-server-time --local-timezone UTC") as server:
        print(await server.call("get_current_time", {"timezone": "UTC"}))
    ```

    Args:
        address: a command line, which is run without a shell; or a URL of streamable HTTP.
        prefix: what the names of its tools begin with, such as "files."; several servers in one
            worker may need it.
        environment: what the command gets besides PATH, HOME and the like; nothing else of this
            process's environment reaches it.
        headers: headers of each request to the URL, such as Authorization.
        folder: the working directory of the command.
        start_timeout_s: how long it may take to start, in seconds.

    Raises:
        InvalidInput: the address or the prefix is invalid; see `McpAddress.parse`.
    """

    def __init__(
        self,
        address: str,
        *,
        prefix: str = "",
        environment: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        folder: Path | None = None,
        start_timeout_s: float = START_TIMEOUT_S,
    ) -> None:
        self.address = McpAddress.parse(
            address, prefix, environment=environment, headers=headers, folder=folder
        )
        self.tools: Mapping[str, McpTool] = {}
        """The tools by their own names; it is replaced when the server changes them."""
        self._start_timeout_s = start_timeout_s
        self._changed: Callable[[], None] = lambda: None
        self._connection: McpConnection | None = None
        self._is_back = asyncio.Event()
        self._must_list = asyncio.Event()
        self._last_failure = ""
        self._keeping: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def when_tools_change(self, call: Callable[[], None]) -> None:
        """Have a function called whenever `tools` has been replaced."""
        self._changed = call

    # ------------------------------------------------------------------ life cycle

    async def start(self) -> None:
        """Start the server, or connect to it, and list its tools.

        Raises:
            McpUnusable: it can't be started or reached, or is no MCP server.
            ExtraMissing: the package `mcp` is not installed.
        """
        if self._keeping is not None:
            return
        connection = await self._connect()
        self._keeping = asyncio.create_task(self._keep(connection))

    async def stop(self) -> None:
        """End the server, if it is a process, and do not start it again."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
            self._keeping = None
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def _connect(self) -> McpConnection:
        # Most workers do without the package.
        from .connection import ConnectionLost, McpConnection  # noqa: PLC0415

        connection = McpConnection(self.address, self._must_list.set)
        await connection.open(self._start_timeout_s)
        self._must_list.clear()
        try:
            await self._list_tools(connection)
        except (ConnectionLost, ToolFailed, asyncio.TimeoutError) as fault:
            await connection.close()
            reason = str(fault) or f"it did not list its tools within {LIST_TIMEOUT_S:g} s"
            raise McpUnusable(f"the MCP server {self.address}: {reason}") from None
        except BaseException:
            await connection.close()
            raise
        self._connection = connection
        self._is_back.set()
        return connection

    async def _keep(self, connection: McpConnection) -> None:
        """List the tools again when they change, and connect again when the connection ends."""
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            connected_at = loop.time()
            reason = await self._serve(connection)
            self._is_back.clear()
            self._connection, self._last_failure = None, reason
            log.warning("an MCP server ended", server=str(self.address), reason=reason)
            if loop.time() - connected_at >= STEADY_AFTER_S:
                failures = 0
            while True:
                await asyncio.sleep(min(FIRST_PAUSE_S * 2**failures, LONGEST_PAUSE_S))
                failures = min(failures + 1, 10)
                try:
                    connection = await self._connect()
                    break
                except McpUnusable as fault:
                    self._last_failure = str(fault)
                    log.warning("an MCP server can't be started again", reason=str(fault))
                if failures >= WITHDRAWN_AFTER_FAILURES and self.tools:
                    self.tools = {}
                    self._changed()
            log.info("an MCP server is back", server=str(self.address))

    async def _serve(self, connection: McpConnection) -> str:
        from .connection import ConnectionLost  # noqa: PLC0415 - see above

        ended = asyncio.ensure_future(connection.wait())
        while not ended.done():
            listing = asyncio.ensure_future(self._must_list.wait())
            try:
                await asyncio.wait({ended, listing}, return_when="FIRST_COMPLETED")
            finally:
                listing.cancel()
            if self._must_list.is_set():
                # Some servers tell each of many changes.
                await asyncio.wait({ended}, timeout=0.1)
                self._must_list.clear()
                with contextlib.suppress(ConnectionLost, ToolFailed, asyncio.TimeoutError):
                    await self._list_tools(connection)
        await connection.close()
        return ended.result()

    # ------------------------------------------------------------------ tools

    async def _list_tools(self, connection: McpConnection) -> None:
        listed = await asyncio.wait_for(connection.list_tools(), LIST_TIMEOUT_S)
        found: dict[str, McpTool] = {}
        for each in listed:
            try:
                tool = self._read_tool(each)
            except InvalidInput as fault:
                name = str(each.get("name"))[:100]
                log.warning(
                    "left out a tool of an MCP server",
                    server=str(self.address),
                    tool=name,
                    reason=str(fault),
                )
                continue
            found.setdefault(tool.own_name, tool)
        if listed and not found:
            raise ToolFailed("none of its tools can be used; run with -v for the reasons")
        if _told(found) != _told(self.tools):
            self.tools = found
            self._changed()

    def _read_tool(self, told: Mapping[str, Any]) -> McpTool:
        own_name = str(told.get("name", ""))
        if _NAME.fullmatch(own_name) is None:
            raise InvalidInput(
                "its name must be 1 to 128 letters, digits and any of _ . / : - to be a task type"
            )
        schema = cast("Mapping[str, Any]", told.get("inputSchema") or {})
        size = len(str(schema))
        if size > MAX_SCHEMA_CHARACTERS:
            raise InvalidInput(
                f"its schema has {size:,} characters; the limit is {MAX_SCHEMA_CHARACTERS:,}"
            )
        name = self.address.prefix + own_name
        hints = cast("Mapping[str, object]", told.get("annotations") or {})
        return McpTool(
            name,
            str(told.get("description") or told.get("title") or "")[:MAX_DESCRIPTION_CHARACTERS],
            schema,
            own_name,
            hints.get("readOnlyHint") is True or hints.get("idempotentHint") is True,
            self,
            SchemaCheck(name, schema),
        )

    async def call(
        self,
        name: str,
        arguments: Mapping[str, Payload] | None = None,
        progress: TakeProgress | None = None,
        *,
        repeats: bool = False,
    ) -> Payload:
        """Call a tool by its own name, and return its output as plain data.

        If the server ends meanwhile, a tool that may be repeated is called again once it is back.
        When this is cancelled, the server is told.

        Args:
            name: the tool's name at the server.
            arguments: its arguments.
            progress: takes how far it has come.
            repeats: whether it may be called again even if its server does not say so.

        Raises:
            ToolFailed: the tool told an error; or `ToolGone`, or `CallInterrupted` if the server
                ended and the tool may have acted.
            WrongCall: the arguments do not match its schema, or the server refuses them.
            McpUnusable: the server is not back after `WAIT_S` seconds.
        """
        from .connection import ConnectionLost, InvalidArguments  # noqa: PLC0415 - see above

        repetitions = 0
        while True:
            connection = await self._wait_until_back()
            tool = self.tools.get(name)
            if tool is None:
                raise ToolGone(f"the MCP server {self.address} has no tool {name!r} any more")
            tool.check(cast("Payload", arguments))
            try:
                return await connection.call(name, arguments or {}, progress)
            except InvalidArguments as fault:
                raise WrongCall(str(fault)) from None
            except ConnectionLost as fault:
                if fault.has_begun and not (repeats or tool.may_be_repeated):
                    raise CallInterrupted(
                        f"begun, but not known to be done: the MCP server {self.address} ended "
                        f"while {name} ran ({fault.reason}); the tool may have acted, so it was "
                        "not called again"
                    ) from None
                if repetitions >= MAX_REPETITIONS:
                    raise McpUnusable(
                        f"the MCP server {self.address} ended each time that {name} was called: "
                        f"{fault.reason}"
                    ) from None
                repetitions += 1
                self._note_lost(connection)

    def _note_lost(self, connection: McpConnection) -> None:
        if self._connection is connection:
            self._connection = None
            self._is_back.clear()

    async def _wait_until_back(self) -> McpConnection:
        if self._keeping is None:
            raise McpUnusable(f"the MCP server {self.address} is not started; use `async with`")
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._is_back.wait(), WAIT_S)
        if self._connection is None:
            raise McpUnusable(
                f"the MCP server {self.address} has not come back within {WAIT_S:g} s: "
                f"{self._last_failure}"
            )
        return self._connection


def _told(tools: Mapping[str, McpTool]) -> Sequence[tuple[object, ...]]:
    return [
        (each.name, each.description, each.schema, each.may_be_repeated) for each in tools.values()
    ]
