"""Discovery: where a worker learns which of the manager's lanes to join, and opens a connection.

It uses the TCP port of the same number as the UDP port in tickets. It is optional: a worker that
gets no answer joins the workspace of its ticket, and has no direct connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import secrets
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TypeAlias

from ...messages import DecodeError, EncodeError
from ..kernel.discovery import (
    MAX_DISCOVERY_BYTES,
    NONCE_BYTES,
    DiscoveryCodec,
    DiscoveryKind,
    Greeting,
    LaneAddress,
    Question,
    pack_greeting,
)
from ..runtime.timeouts import within
from . import connection_request
from .connection_limits import ConnectionLimits, LimitedConnection, LimitedListener, affordable
from .connection_request import (
    be_greeted,
    make_direct,
    read_message,
    request_over,
)
from .direct_connection import ConnectionHolder, DirectConnection

EVERYWHERE = "0.0.0.0"  # noqa: S104 - the interfaces that Ceylon listens on

CONNECT_TIMEOUT_S = 1.0
"""How long a client waits for the TCP connection, in seconds: a firewall may be in between."""

LIMITS = ConnectionLimits(
    connections=256, ask_within_s=3.0, answer_within_s=20.0, read_within_s=3.0
)
"""How many clients may be connected at once, and for how long. A rejected worker joins without an
answer.

An answer takes longer if lanes have to be opened for it.
"""

_MAX_NAME_CHARACTERS = 200

LaneFinder: TypeAlias = Callable[[str], Awaitable[LaneAddress]]
"""Returns the lane address for the worker with a name."""


@contextlib.asynccontextmanager
async def serve_discovery(
    port: int,
    talk: DiscoveryCodec,
    find_lane: LaneFinder,
    drop: Callable[[DecodeError], None],
    holder: ConnectionHolder | None = None,
) -> AsyncGenerator[None, None]:
    """Answer discovery requests while it is entered.

    Args:
        port: the TCP port.
        talk: encodes and decodes the messages.
        find_lane: returns the lane address of a worker.
        drop: called with the error of a message that could not be decoded.
        holder: owns the direct connections; None refuses them.

    Raises:
        OSError: another process uses the port.
    """
    limits = dataclasses.replace(LIMITS, connections=affordable(LIMITS.connections))
    reception = _DiscoveryServer(talk, find_lane, drop, holder)
    listening = socket.create_server((EVERYWHERE, port))
    listener = LimitedListener(listening, "discovery", limits, reception.make_protocol)
    listener.start()
    try:
        yield
    finally:
        try:
            await listener.stop()
            await reception.close()
        finally:
            await listener.close()


async def ask_for_lane(host: str, port: int, talk: DiscoveryCodec, name: str) -> LaneAddress | None:
    """Ask a manager which lane a worker should join; None if it does not answer.

    Args:
        host: the IPv4 address of the manager.
        port: the TCP port of its discovery.
        talk: encodes and decodes the messages.
        name: the worker's name.
    """
    try:
        reader, writer = await _come(host, port)
    except (OSError, asyncio.TimeoutError):
        return None
    try:
        return await _ask(reader, writer, talk, name)
    except (OSError, EOFError, asyncio.TimeoutError, DecodeError, EncodeError):
        return None
    finally:
        writer.close()


async def request_direct_connection(
    host: str,
    port: int,
    talk: DiscoveryCodec,
    *,
    address: str,
    manager: str,
    holder: ConnectionHolder,
) -> DirectConnection | None:
    """Request a direct connection from a manager; None if it refuses.

    Args:
        host: the IPv4 address of the manager.
        port: the TCP port of its discovery.
        talk: encodes and decodes the messages.
        address: the address of the worker, which the manager has admitted.
        manager: the address of the manager.
        holder: owns the direct connection.
    """
    try:
        reader, writer = await _come(host, port)
    except (OSError, asyncio.TimeoutError):
        return None
    return await request_over(reader, writer, talk, address=address, manager=manager, holder=holder)


async def _come(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    coming = asyncio.ensure_future(
        asyncio.open_connection(host, port, limit=2 * MAX_DISCOVERY_BYTES)
    )
    try:
        return await within(CONNECT_TIMEOUT_S, coming)
    except BaseException:
        # It may have been established just when it was cancelled.
        coming.add_done_callback(_hang_up)
        raise


def _hang_up(coming: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]) -> None:
    if not coming.cancelled() and coming.exception() is None:
        _, writer = coming.result()
        writer.close()


class _DiscoveryServer:
    """Answers clients; takes the arguments of `serve_discovery`."""

    def __init__(
        self,
        talk: DiscoveryCodec,
        find_lane: LaneFinder,
        drop: Callable[[DecodeError], None],
        holder: ConnectionHolder | None,
    ) -> None:
        self._talk = talk
        self._find_place = find_lane
        self._drop = drop
        self._holder = holder
        self._visits: set[asyncio.Task[None]] = set()

    def make_protocol(self, connection: LimitedConnection) -> asyncio.BaseProtocol:
        """The protocol of a new connection."""

        def come(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            visit = asyncio.ensure_future(self._receive(connection, reader, writer))
            self._visits.add(visit)
            visit.add_done_callback(self._visits.discard)

        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=2 * MAX_DISCOVERY_BYTES, loop=loop)
        return asyncio.StreamReaderProtocol(reader, come, loop=loop)

    async def close(self) -> None:
        """Close all connections."""
        for visit in self._visits:
            visit.cancel()
        await asyncio.gather(*self._visits, return_exceptions=True)

    async def _receive(
        self,
        connection: LimitedConnection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        stays = False
        try:
            stays = await self._answer(connection, reader, writer)
        except DecodeError as fault:
            self._drop(fault)
        except (OSError, EOFError):
            # A client that disconnects, or is rejected, has not asked.
            pass
        finally:
            if not stays:
                writer.close()

    async def _answer(
        self,
        connection: LimitedConnection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        """Answer a client; return whether the connection stays open."""
        talk = self._talk
        greeting = Greeting(secrets.token_bytes(NONCE_BYTES), talk.is_sealed)
        writer.write(pack_greeting(greeting))
        kind, body = await read_message(
            reader, DiscoveryKind.QUESTION, DiscoveryKind.FORMER_CONNECT, DiscoveryKind.CONNECT
        )
        if kind is DiscoveryKind.FORMER_CONNECT:
            # An earlier version, whose direct connections anybody in between could stall.
            return False
        if kind is DiscoveryKind.CONNECT:
            holder = self._holder
            if holder is None or not make_direct(writer, talk, greeting, body, holder):
                return False
            connection.release()
            return True
        question = talk.read_question(greeting, body)
        connection.begin_answer()
        place = await self._find_place(question.name)
        writer.write(talk.pack_answer(greeting, question, place))
        await writer.drain()
        return False


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, talk: DiscoveryCodec, name: str
) -> LaneAddress:
    greeting = await be_greeted(reader, talk)
    question = Question(secrets.token_bytes(NONCE_BYTES), name[:_MAX_NAME_CHARACTERS])
    writer.write(talk.pack_question(greeting, question))
    _, answer = await within(
        connection_request.ANSWER_TIMEOUT_S, read_message(reader, DiscoveryKind.ANSWER)
    )
    return talk.read_answer(greeting, question, answer)
