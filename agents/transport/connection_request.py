"""The handshake of a direct connection, over any pair of a reader and a writer."""

from __future__ import annotations

import asyncio
import secrets

from ...messages import DecodeError, EncodeError, Flaw
from ..kernel.discovery import (
    HEAD_BYTES,
    NONCE_BYTES,
    DiscoveryCodec,
    DiscoveryKind,
    Greeting,
    pack_greeting,
    read_greeting,
    read_head,
)
from ..kernel.security.connection_keys import Exchange
from ..kernel.security.identity import SEED_BYTES
from ..runtime.timeouts import within
from .direct_connection import ConnectionHolder, DirectConnection

GREETING_TIMEOUT_S = 3.0
"""How long a client waits for the greeting, in seconds: the manager may be busy."""

ANSWER_TIMEOUT_S = 6.0
"""How long it then waits for the answer, in seconds: a lane may have to be opened first."""


async def request_over(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    talk: DiscoveryCodec,
    *,
    address: str,
    manager: str,
    holder: ConnectionHolder,
) -> DirectConnection | None:
    """Make a stream to a manager a direct connection; None if the manager refuses.

    Args:
        reader: reads the stream.
        writer: writes to it; closed if the manager refuses.
        talk: encodes and decodes the messages.
        address: the address of the member.
        manager: the address of the manager.
        holder: owns the direct connection.
    """
    connection: DirectConnection | None = None
    try:
        greeting = await be_greeted(reader, talk)
        exchange = Exchange(secrets.token_bytes(SEED_BYTES))
        request = talk.connection_request(secrets.token_bytes(NONCE_BYTES), address, exchange)
        writer.write(talk.pack_connection_request(greeting, request))
        _, answer = await within(ANSWER_TIMEOUT_S, read_message(reader, DiscoveryKind.CONNECTED))
        reply = talk.read_connection_reply(greeting, request, answer)
        if not holder.accepts_direct(manager, reply.public_key):
            return None
        keys = talk.derive_keys(greeting, request, reply, exchange)
        _see_that_it_is_open(writer)
        connection = DirectConnection(
            manager,
            holder,
            writer,
            dials=True,
            outgoing=keys and keys.of_dialer,
            incoming=keys and keys.of_acceptor,
            public_key=reply.public_key,
        )
    except (OSError, EOFError, asyncio.TimeoutError, DecodeError, EncodeError):
        return None
    finally:
        if connection is None:
            writer.close()
    if connection is not None:
        # The manager's end sends nothing before it has received something.
        connection.send(b"")
    return connection


async def accept_over(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    talk: DiscoveryCodec,
    holder: ConnectionHolder,
) -> bool:
    """Make a stream from a member a direct connection; return whether it may have one.

    Raises:
        DecodeError: what it sends can't be read.
        EOFError: it has ended.
    """
    greeting = Greeting(secrets.token_bytes(NONCE_BYTES), talk.is_sealed)
    writer.write(pack_greeting(greeting))
    _, body = await read_message(reader, DiscoveryKind.CONNECT)
    return make_direct(writer, talk, greeting, body, holder)


def make_direct(
    writer: asyncio.StreamWriter,
    talk: DiscoveryCodec,
    greeting: Greeting,
    body: bytes,
    holder: ConnectionHolder,
) -> bool:
    """Make a connection a direct connection if the client may have one; return whether it may."""
    request = talk.read_connection_request(greeting, body)
    if not holder.accepts_direct(request.address, request.public_key):
        return False
    exchange = Exchange(secrets.token_bytes(SEED_BYTES))
    reply = talk.connection_reply(exchange)
    keys = talk.derive_keys(greeting, request, reply, exchange)
    writer.write(talk.pack_connection_reply(greeting, request, reply))
    _see_that_it_is_open(writer)
    DirectConnection(
        request.address,
        holder,
        writer,
        dials=False,
        outgoing=keys and keys.of_acceptor,
        incoming=keys and keys.of_dialer,
        public_key=request.public_key,
    )
    return True


def _see_that_it_is_open(writer: asyncio.StreamWriter) -> None:
    if writer.is_closing():
        # A direct connection would never learn that it has ended.
        raise EOFError


async def be_greeted(reader: asyncio.StreamReader, talk: DiscoveryCodec) -> Greeting:
    """Read the manager's greeting.

    Raises:
        DecodeError: only one of both seals, or it is no greeting.
    """
    _, body = await within(GREETING_TIMEOUT_S, read_message(reader, DiscoveryKind.GREETING))
    greeting = read_greeting(body)
    if greeting.sealed is not talk.is_sealed:
        raise DecodeError(Flaw.UNSEALED, "only one of the manager and this worker seals")
    return greeting


async def read_message(
    reader: asyncio.StreamReader, *kinds: DiscoveryKind
) -> tuple[DiscoveryKind, bytes]:
    """Read one message of one of these kinds."""
    kind, length = read_head(await reader.readexactly(HEAD_BYTES), *kinds)
    return kind, await reader.readexactly(length)
