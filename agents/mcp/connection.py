"""One connection to an MCP server; the client's side of the package `mcp`."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any, cast

import anyio
import httpx
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp import McpError, types
from mcp.client.streamable_http import streamablehttp_client
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

from ...messages import Payload
from ...messages.web_errors import McpUnusable, ToolFailed
from ...messages.wording import summarize
from ..runtime.error_text import describe_fault, parts_of
from ..runtime.log import log
from .address import McpAddress
from .bounded_http import make_bounded_client
from .session import Incoming, McpSession, Outgoing, Progress
from .stdio_process import LineTooLong, StdioProcess
from .tool_output import output_of

MAX_TOOLS = 1_000
MAX_JUNK_LINES = 1_000
"""How many lines in a row may be no message of MCP, as what a program prints when it starts."""

TOLD_AFTER_S = 3.0
"""After how long it is told that a server has not answered yet, in seconds."""

CANCEL_WITHIN_S = 5.0
_SESSION_TERMINATED = 32600
_HTTP_TIMEOUT_S = 30.0
_SILENCE_S = 24 * 3600.0


class ConnectionLost(Exception):
    """The connection ended before a call had its answer.

    Args:
        reason: why.
        has_begun: whether the server may have begun the call.
    """

    def __init__(self, reason: str, *, has_begun: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.has_begun = has_begun


class InvalidArguments(Exception):
    """The server says that a tool can't take these arguments."""


class McpConnection:
    """One connection to an MCP server, from `open` until it is closed or lost.

    Args:
        address: where the server is.
        tools_changed: called when the server says that its tools have changed.
    """

    def __init__(self, address: McpAddress, tools_changed: Callable[[], None]) -> None:
        self._address = address
        self._tools_changed = tools_changed
        self._is_closing = asyncio.Event()
        # Done as soon as no answer will come any more, before the server has ended.
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._session: McpSession | None = None
        self._reason = ""
        self._running: asyncio.Task[None] | None = None
        self._cancelling: set[asyncio.Task[None]] = set()

    async def open(self, within_s: float) -> None:
        """Connect, and agree on the protocol.

        Raises:
            McpUnusable: there is no MCP server, or it does not answer in time.
        """
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        running = self._running = asyncio.create_task(self._run(ready))

        async def wait(timeout_s: float) -> None:
            await asyncio.wait({running, ready}, timeout=timeout_s, return_when="FIRST_COMPLETED")

        try:
            await wait(min(TOLD_AFTER_S, within_s))
            if within_s > TOLD_AFTER_S and not (ready.done() or running.done()):
                log.warning(
                    "an MCP server has not answered yet; is it one, or is it being downloaded?",
                    server=str(self._address),
                    waited_s=TOLD_AFTER_S,
                    waits_s=within_s,
                )
                await wait(within_s - TOLD_AFTER_S)
            if ready.done():
                return
            reason = self._reason or (
                f"it did not answer the request to initialize within {within_s:g} s"
            )
            if "; check " not in reason:
                reason += "; check that it is an MCP server"
            raise McpUnusable(f"the MCP server {self._address}: {reason}")
        finally:
            if not ready.done():
                await self.close()

    async def wait(self) -> str:
        """Wait until the connection has ended. Returns why."""
        if self._running is not None:
            await asyncio.wait({self._running})
        return self._reason

    async def close(self) -> None:
        """End the connection, and the server if it is a process of ours."""
        self._is_closing.set()
        if self._running is not None:
            # Until now it may wait for an answer to the first request.
            if self._session is None or not self._session.is_initialized:
                self._running.cancel()
            await asyncio.wait({self._running})

    # ------------------------------------------------------------------ requests

    async def list_tools(self) -> list[Mapping[str, Any]]:
        """The tools that the server offers, in their JSON form; `MAX_TOOLS` at most.

        Raises:
            ConnectionLost: the connection has ended.
            ToolFailed: the server does not list them.
        """
        found: list[Mapping[str, Any]] = []
        cursor: str | None = None
        for _ in range(MAX_TOOLS):
            listing = await self._ask("tools/list", lambda it, at=cursor: it.list(at))
            tools = listing.get("tools")
            if not isinstance(tools, list):
                raise ToolFailed(
                    "tools/list answers what MCP does not know: it has no list of tools"
                )
            more = cast("list[object]", tools)[: MAX_TOOLS - len(found)]
            found += [cast("dict[str, Any]", each) for each in more if isinstance(each, dict)]
            cursor = listing.get("nextCursor")
            if not isinstance(cursor, str) or not cursor or len(found) >= MAX_TOOLS:
                break
        return found

    async def call(
        self, name: str, arguments: Mapping[str, Payload], progress: Progress | None
    ) -> Payload:
        """Call a tool; when this is cancelled, the server is told.

        Args:
            name: the tool's own name.
            arguments: its arguments.
            progress: takes its progress; None for nobody.

        Returns:
            Its output as plain data.

        Raises:
            ToolFailed: it told an error.
            InvalidArguments: it can't take the arguments.
            ConnectionLost: the connection ended meanwhile.
        """
        return output_of(name, await self._ask(name, lambda it: it.call(name, arguments, progress)))

    async def _ask(self, what: str, ask: Callable[[McpSession], Awaitable[Any]]) -> Any:
        session = self._session
        if session is None or self._lost.done():
            raise ConnectionLost(self._reason or "it is not connected", has_begun=False)
        number = session.next_number
        asking = asyncio.ensure_future(ask(session))
        try:
            await asyncio.wait({asking, self._lost}, return_when="FIRST_COMPLETED")
        except asyncio.CancelledError:
            asking.cancel()
            self._tell_cancelled(session, number)
            raise
        if not asking.done():
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            raise ConnectionLost(self._reason, has_begun=True)
        try:
            return asking.result()
        except McpError as fault:
            error = fault.error
            if error.code == types.CONNECTION_CLOSED:
                await asyncio.wait({self._lost})
                raise ConnectionLost(self._reason, has_begun=True) from None
            if error.code == _SESSION_TERMINATED:
                self._reason = "it has ended the session"
                self._is_closing.set()
                raise ConnectionLost(self._reason, has_begun=False) from None
            if error.code == types.INVALID_PARAMS:
                raise InvalidArguments(f"{what}: {error.message[:2_000]}") from None
            raise ToolFailed(f"{what}: {error.message[:2_000]}") from None
        except ValidationError as fault:
            raise ToolFailed(f"{what} answers what MCP does not know: {summarize(fault)}") from None
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            await asyncio.wait({self._lost})
            raise ConnectionLost(self._reason, has_begun=False) from None

    def _tell_cancelled(self, session: McpSession, number: int) -> None:
        async def tell() -> None:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(session.tell_cancelled(number), CANCEL_WITHIN_S)

        telling = asyncio.create_task(tell())
        self._cancelling.add(telling)
        telling.add_done_callback(self._cancelling.discard)

    # ------------------------------------------------------------------ the connection

    async def _run(self, ready: asyncio.Future[None]) -> None:
        try:
            async with self._transport() as (incoming, outgoing):
                await self._converse(incoming, outgoing, ready)
        except asyncio.CancelledError:
            self._reason = self._reason or "it was not ready when it was closed"
        except BaseException as fault:  # noqa: BLE001 - whatever the transport raises
            self._reason = self._reason or self._describe(fault)
        self._note_lost()

    def _note_fault(self, sieving: asyncio.Future[None]) -> None:
        """Note why nothing more arrives, before what follows from it hides that."""
        fault = sieving.exception() if sieving.done() and not sieving.cancelled() else None
        if fault is not None:
            self._reason = self._reason or self._describe(fault)

    def _note_lost(self) -> None:
        self._reason = self._reason or "it was closed"
        if not self._lost.done():
            self._lost.set_result(None)

    async def _converse(
        self, incoming: Incoming, outgoing: Outgoing, ready: asyncio.Future[None]
    ) -> None:
        sender, receiver = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        async with McpSession(receiver, outgoing, self._tools_changed) as session:
            self._session = session
            sieving = asyncio.ensure_future(self._sieve(incoming, sender))
            closing = asyncio.ensure_future(self._is_closing.wait())
            initializing = asyncio.ensure_future(session.begin())
            waiting: set[asyncio.Future[Any]] = {sieving, closing, initializing}
            try:
                await asyncio.wait(waiting, return_when="FIRST_COMPLETED")
                self._note_fault(sieving)
                if initializing.done():
                    initializing.result()
                    if not ready.done():
                        ready.set_result(None)
                    await asyncio.wait({sieving, closing}, return_when="FIRST_COMPLETED")
                self._note_fault(sieving)
                if sieving.done():
                    self._note_lost()
            finally:
                for each in waiting:
                    each.cancel()
                try:
                    await asyncio.wait(waiting)
                finally:
                    # The transport may cancel this while it waits.
                    sender.close()
                    receiver.close()

    async def _sieve(
        self, incoming: Incoming, sender: MemoryObjectSendStream[SessionMessage | Exception]
    ) -> None:
        """Pass on what the session understands; it would log the rest as it is."""
        async for message in incoming:
            if isinstance(message, Exception):
                raise message
            root = message.message.root
            try:
                if isinstance(root, types.JSONRPCNotification):
                    types.ServerNotification.model_validate(_dump(root))
                elif isinstance(root, types.JSONRPCRequest):
                    types.ServerRequest.model_validate(_dump(root))
            except ValidationError:
                continue
            await sender.send(message)

    @contextlib.asynccontextmanager
    async def _transport(self) -> AsyncGenerator[tuple[Incoming, Outgoing], None]:
        address = self._address
        if address.url:
            async with streamablehttp_client(
                address.url,
                dict(address.headers),
                timeout=_HTTP_TIMEOUT_S,
                sse_read_timeout=_SILENCE_S,
                httpx_client_factory=make_bounded_client,
            ) as (incoming, outgoing, _):
                try:
                    yield incoming, outgoing
                finally:
                    incoming.close()
                    outgoing.close()
            return
        starting = StdioProcess.running(
            address.command, address.environment, address.folder, str(address)
        )
        async with starting as process:
            to_us, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
            outgoing, from_us = anyio.create_memory_object_stream[SessionMessage](0)
            reading = asyncio.create_task(self._read(process, to_us))
            writing = asyncio.create_task(_write(process, from_us))
            try:
                yield incoming, outgoing
            finally:
                reading.cancel()
                writing.cancel()
                await asyncio.gather(reading, writing, return_exceptions=True)
                for stream in (to_us, incoming, outgoing, from_us):
                    stream.close()

    async def _read(
        self, process: StdioProcess, to_us: MemoryObjectSendStream[SessionMessage | Exception]
    ) -> None:
        junk = 0
        try:
            async for line in process.lines():
                try:
                    message = _read_message(line)
                except (ValueError, RecursionError):
                    junk += bool(line.strip())
                    if junk >= MAX_JUNK_LINES:
                        self._reason = (
                            f"it wrote {junk:,} lines to stdout that are no messages of MCP; check "
                            "that it is an MCP server, and that it writes its log to stderr"
                        )
                        break
                    continue
                junk = 0
                await to_us.send(SessionMessage(message))
            self._reason = self._reason or await process.how_it_ended()
        except LineTooLong as fault:
            self._reason = str(fault)
        to_us.close()

    def _describe(self, fault: BaseException) -> str:
        """Why a connection failed, from whatever the libraries raise."""
        while parts := parts_of(fault):
            fault = parts[0]
        match fault:
            case httpx.HTTPStatusError():
                code = fault.response.status_code
                hint = (
                    "check the headers, such as Authorization"
                    if code in (401, 403)
                    else "check that this is the URL of an MCP server, often ending with /mcp"
                )
                return f"it answers with HTTP status {code}; {hint}"
            case httpx.TransportError():
                told = str(fault) or type(fault).__name__
                return f"it can't be reached: {told[:300]}; check the URL, and that it is running"
            case LineTooLong():
                return str(fault)
            case McpError():
                return f"it refuses to initialize: {str(fault)[:500]}"
            case OSError():
                return f"it can't be started: {fault.strerror or fault}"
            case ValueError() if str(fault).startswith("Unexpected content type"):
                told = str(fault)[:100].lower()
                return f"it answers with {told}; check that this is the URL of an MCP server"
            case ValidationError():
                return "it answers what is no message of MCP; check that it is an MCP server"
            case _:
                return describe_fault(fault)[:500]


def _dump(message: types.JSONRPCNotification | types.JSONRPCRequest) -> dict[str, Any]:
    return message.model_dump(by_alias=True, mode="json", exclude_none=True)


def _read_message(line: bytes) -> types.JSONRPCMessage:
    """The message in a line.

    The library would try each kind of message in turn, and build a large one several times.

    Raises:
        ValueError: it is none.
    """
    content: Any = json.loads(line)
    if not isinstance(content, dict):
        content = {}
    if "method" in content:
        kind = types.JSONRPCRequest if "id" in content else types.JSONRPCNotification
    else:
        kind = types.JSONRPCError if "error" in content else types.JSONRPCResponse
    return types.JSONRPCMessage(kind.model_validate(content))


async def _write(process: StdioProcess, from_us: MemoryObjectReceiveStream[SessionMessage]) -> None:
    async for message in from_us:
        line = message.message.model_dump_json(by_alias=True, exclude_none=True)
        try:
            await process.send(line.encode() + b"\n")
        except OSError:
            # It has ended, which its stdout tells.
            return
