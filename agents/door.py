"""The door: where a worker learns, before it joins, which of the manager's lanes is its own.

It is the TCP port of the same number as the UDP port that tickets name. Nobody needs it: a worker
that gets no answer there goes to the workspace of its ticket.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TypeAlias

from ..messages import DecodeError, EncodeError, Flaw
from .kernel.door_words import (
    HEAD_BYTES,
    MAX_WORD_BYTES,
    NONCE_BYTES,
    DoorKind,
    DoorTalk,
    Greeting,
    Place,
    Question,
    pack_greeting,
    read_greeting,
    read_length,
)

EVERYWHERE = "0.0.0.0"  # noqa: S104 - the interfaces that Ceylon listens on

COMING_PATIENCE_S = 1.0
"""How long whoever comes waits until the way is free: a firewall may be between."""

GREETING_PATIENCE_S = 3.0
"""How long it waits to be greeted then: the manager may be busy, or somebody else be there."""

ANSWER_PATIENCE_S = 6.0
"""How long it waits for the answer then; a lane may have to be opened first."""

QUESTION_PATIENCE_S = 3.0
"""How long the door waits for a question."""

MAX_VISITS = 256
"""How many may be at the door at the same time; more are sent away, and join without asking."""

_MAX_NAME_CHARACTERS = 200

PlaceFinder: TypeAlias = Callable[[str], Awaitable[Place]]
"""Tells where the worker of a name is to go."""


@contextlib.asynccontextmanager
async def open_door(
    port: int, talk: DoorTalk, find_place: PlaceFinder, drop: Callable[[DecodeError], None]
) -> AsyncGenerator[None, None]:
    """Answer those that come, as long as it is entered.

    Args:
        port: the TCP port.
        talk: packs and reads what is said.
        find_place: tells where a worker is to go.
        drop: called with what was wrong with words that could not be read.

    Raises:
        OSError: the port belongs to somebody else.
    """
    visits: set[asyncio.Task[None]] = set()

    async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _receive(reader, writer, talk, find_place)
        except DecodeError as fault:
            drop(fault)
        except (OSError, EOFError, asyncio.TimeoutError):
            # Who leaves in the middle, or says nothing, has not asked.
            pass
        finally:
            writer.close()

    def come(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(visits) >= MAX_VISITS:
            writer.close()
            return
        coming = asyncio.ensure_future(visit(reader, writer))
        visits.add(coming)
        coming.add_done_callback(visits.discard)

    server = await asyncio.start_server(come, EVERYWHERE, port, limit=2 * MAX_WORD_BYTES)
    try:
        yield
    finally:
        server.close()
        for coming in visits:
            coming.cancel()
        await asyncio.gather(*visits, return_exceptions=True)


async def ask_the_door(host: str, port: int, talk: DoorTalk, name: str) -> Place | None:
    """Ask a manager where a worker is to go; None if it does not say.

    Args:
        host: the IPv4 address of the manager.
        port: the TCP port of its door.
        talk: packs and reads what is said.
        name: the worker's name.
    """
    try:
        reader, writer = await asyncio.wait_for(
            asyncio.open_connection(host, port, limit=2 * MAX_WORD_BYTES), COMING_PATIENCE_S
        )
    except (OSError, asyncio.TimeoutError):
        return None
    try:
        return await _ask(reader, writer, talk, name)
    except (OSError, EOFError, asyncio.TimeoutError, DecodeError, EncodeError):
        return None
    finally:
        writer.close()


async def _receive(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    talk: DoorTalk,
    find_place: PlaceFinder,
) -> None:
    greeting = Greeting(secrets.token_bytes(NONCE_BYTES), talk.is_sealed)
    writer.write(pack_greeting(greeting))
    body = await asyncio.wait_for(_read(reader, DoorKind.QUESTION), QUESTION_PATIENCE_S)
    question = talk.read_question(greeting, body)
    place = await find_place(question.name)
    writer.write(talk.pack_answer(greeting, question, place))
    await asyncio.wait_for(writer.drain(), QUESTION_PATIENCE_S)


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, talk: DoorTalk, name: str
) -> Place:
    body = await asyncio.wait_for(_read(reader, DoorKind.GREETING), GREETING_PATIENCE_S)
    greeting = read_greeting(body)
    if greeting.sealed is not talk.is_sealed:
        raise DecodeError(Flaw.UNSEALED, "the door and this worker do not both seal")
    question = Question(secrets.token_bytes(NONCE_BYTES), name[:_MAX_NAME_CHARACTERS])
    writer.write(talk.pack_question(greeting, question))
    answer = await asyncio.wait_for(_read(reader, DoorKind.ANSWER), ANSWER_PATIENCE_S)
    return talk.read_answer(greeting, question, answer)


async def _read(reader: asyncio.StreamReader, kind: DoorKind) -> bytes:
    length = read_length(await reader.readexactly(HEAD_BYTES), kind)
    return await reader.readexactly(length)
