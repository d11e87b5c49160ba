"""`muster mcp`: offers a run to MCP's clients, over stdio or streamable HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...messages import InvalidInput, PortInUse
from ..mcp.run_access import RunAccess, StoredAccess
from ..mcp.serving import PATH, McpService
from ..runtime.ports import LOOPBACK
from ..runtime.private_file import write_private
from .console.interrupts import Interrupts
from .console.reserved_stdout import own_stdout, reserve_stdout
from .mcp_options import quieten_library
from .output import write_line
from .stored_run import read_stored_run

if TYPE_CHECKING:
    from ..client.client import Client

_MIN_TOKEN_CHARACTERS = 16


async def serve_over_stdio(run: Client | Path) -> None:
    """Serve the client that has started this process; nothing else goes to stdout.

    Args:
        run: a client of the manager, not yet connected; or a store, which is only read.
    """
    quieten_library()
    given = sys.stdin.buffer
    with reserve_stdout():
        taken = own_stdout()
        async with _access(run) as access:
            service = McpService(access)
            await _until_interrupted(service.serve_stdio(given, taken))


async def serve_over_http(run: Client | Path, port: int, token_file: Path | None) -> None:
    """Serve clients on loopback; they need a token.

    Args:
        run: see `serve_over_stdio`.
        port: the TCP port; 0 takes a free one.
        token_file: the file that holds the token, or is made with a new one; None writes a new
            token to stdout.

    Raises:
        PortInUse: another program uses the port.
        InvalidInput: the file can't be used.
    """
    quieten_library()
    token = secrets.token_urlsafe(32) if token_file is None else _token_in(token_file)
    with contextlib.closing(_listen(port)) as listening:
        async with _access(run) as access:

            async def serve() -> None:
                write_line(f"MCP server: http://{LOOPBACK}:{listening.getsockname()[1]}{PATH}")
                write_line(
                    f"header: Authorization: Bearer {token}"
                    if token_file is None
                    else f"token: in {token_file}; clients need the header Authorization: Bearer "
                    "TOKEN"
                )
                await McpService(access).serve_http(listening, token)

            await _until_interrupted(serve())


@contextlib.asynccontextmanager
async def _access(run: Client | Path) -> AsyncGenerator[RunAccess | StoredAccess, None]:
    if isinstance(run, Path):
        read = partial(read_stored_run, run)
        # What is wrong with the store is said at once.
        await asyncio.to_thread(read)
        yield StoredAccess(read)
        return
    async with run as client:
        yield RunAccess(client)


async def _until_interrupted(serving: Coroutine[Any, Any, None]) -> None:
    running = asyncio.ensure_future(serving)
    stop: Callable[[], bool] = running.cancel

    async def end() -> None:
        stop()

    async with Interrupts(end):
        with contextlib.suppress(asyncio.CancelledError):
            await running


def _listen(port: int) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((LOOPBACK, port))
    except OSError:
        listening.close()
        raise PortInUse(port, "TCP") from None
    listening.listen()
    return listening


def _token_in(file: Path) -> str:
    try:
        if not file.exists():
            token = secrets.token_urlsafe(32)
            write_private(file, f"{token}\n".encode())
            return token
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else "it is no text"
        raise InvalidInput(f"the token file {str(file)!r} can't be used: {reason}") from None
    if len(token) < _MIN_TOKEN_CHARACTERS or not token.isascii() or not token.isprintable():
        raise InvalidInput(
            f"the token in {str(file)!r} must have {_MIN_TOKEN_CHARACTERS} or more printable ASCII "
            "characters; delete the file, and a new one is made"
        )
    return token
