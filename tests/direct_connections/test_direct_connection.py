"""Wires on loopback: who gets one, what comes by it, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
from muster.agents.kernel.discovery import (
    HEAD_BYTES,
    DiscoveryCodec,
    DiscoveryKind,
    LaneAddress,
    read_greeting,
    read_head,
)
from muster.agents.kernel.security.connection_keys import (
    RECORD_OVERHEAD_BYTES,
    ConnectionKeys,
    Exchange,
)
from muster.agents.kernel.security.identity import Identity
from muster.agents.kernel.security.workspace_secret import WorkspaceSecret
from muster.agents.runtime.ports import LOOPBACK
from muster.agents.transport.direct_connection import MAX_RECORD_BYTES, DirectConnection
from muster.agents.transport.discovery import request_direct_connection, serve_discovery
from muster.messages import DecodeError

SECRET = WorkspaceSecret(bytes(range(32)))
ADAS, MANAGERS = Identity(b"Ada".ljust(32)), Identity(b"manager".ljust(32))
TALK = DiscoveryCodec(SECRET, "estate", ADAS)
MANAGERS_TALK = DiscoveryCodec(SECRET, "estate", MANAGERS)
OPEN_TALK = DiscoveryCodec(None, "estate")
MANAGER, ADA = "12D3KooWManager", "12D3KooWAda"
DEADLINE_S = 60.0


@dataclass
class Holder:
    """Has wires, and notes what comes by them."""

    expected: set[str] = field(default_factory=set)
    direct_connections: dict[str, DirectConnection] = field(default_factory=dict)
    heard: list[tuple[str, bytes]] = field(default_factory=list)
    keys: set[bytes] = field(default_factory=set)
    link_s: float | None = None

    def accepts_direct(self, peer: str, public_key: bytes) -> bool:
        self.keys.add(public_key)
        return peer in self.expected

    def attach(self, peer: str, connection: DirectConnection) -> None:
        self.direct_connections[peer] = connection

    def detach(self, peer: str, connection: DirectConnection) -> None:
        if self.direct_connections.get(peer) is connection:
            del self.direct_connections[peer]

    def receive_direct(self, peer: str, frame: bytes) -> None:
        self.heard.append((peer, frame))

    def probe_link(self) -> float | None:
        return self.link_s

    @property
    def frames(self) -> list[bytes]:
        return [frame for _, frame in self.heard if frame]


@dataclass
class Ends:
    """A door, and who holds the wires at both of its sides."""

    port: int
    manager: Holder = field(default_factory=lambda: Holder({ADA}))
    worker: Holder = field(default_factory=lambda: Holder({MANAGER}))
    dropped: list[str] = field(default_factory=list)

    async def ask(self, talk: DiscoveryCodec = TALK, address: str = ADA) -> DirectConnection | None:
        return await request_direct_connection(
            LOOPBACK, self.port, talk, address=address, manager=MANAGER, holder=self.worker
        )


def free_tcp_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def opened(talk: DiscoveryCodec = MANAGERS_TALK) -> AsyncIterator[Ends]:
    ends = Ends(free_tcp_port())

    async def find_lane(name: str) -> LaneAddress:
        return LaneAddress("estate", MANAGER, 9000)

    def drop(fault: DecodeError) -> None:
        ends.dropped.append(fault.flaw.value)

    async with serve_discovery(ends.port, talk, find_lane, drop, ends.manager):
        yield ends


@dataclass
class RawEnd:
    """A worker's end of a wire that says what no wire would."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    keys: ConnectionKeys

    def record(self, content: bytes, flag: int = 0) -> bytes:
        """The next record, sealed."""
        head = (flag | len(content) + RECORD_OVERHEAD_BYTES).to_bytes(4, "big")
        return head + bytes(12) + self.keys.of_dialer.seal(head, bytes(12), content)

    def keepalive(self) -> bytes:
        return self.record(bytes(8), 1 << 31)

    async def read(self) -> tuple[int, bytes]:
        """The flag and content of the next record of the manager's end."""
        head = await self.reader.readexactly(4)
        told = int.from_bytes(head, "big")
        body = memoryview(await self.reader.readexactly(told & ~(1 << 31)))
        return told >> 31, self.keys.of_acceptor.open(head, body[:12], body[12:])


@contextlib.asynccontextmanager
async def raw_end(ends: Ends) -> AsyncIterator[RawEnd]:
    reader, writer = await asyncio.open_connection(LOOPBACK, ends.port)
    _, length = read_head(await reader.readexactly(HEAD_BYTES), DiscoveryKind.GREETING)
    greeting = read_greeting(await reader.readexactly(length))
    exchange = Exchange(b"exchange".ljust(32))
    request = TALK.connection_request(bytes(16), ADA, exchange)
    writer.write(TALK.pack_connection_request(greeting, request))
    _, length = read_head(await reader.readexactly(HEAD_BYTES), DiscoveryKind.CONNECTED)
    reply = TALK.read_connection_reply(greeting, request, await reader.readexactly(length))
    keys = TALK.derive_keys(greeting, request, reply, exchange)
    assert keys is not None
    try:
        yield RawEnd(reader, writer, keys)
    finally:
        writer.close()


async def wait_until(happens: Callable[[], bool]) -> None:
    async def look() -> None:
        while not happens():
            await asyncio.sleep(0.005)

    await asyncio.wait_for(look(), DEADLINE_S)


@pytest.mark.parametrize(
    ("talk", "discovery"),
    [(TALK, MANAGERS_TALK), (OPEN_TALK, OPEN_TALK)],
    ids=["sealed", "insecure"],
)
async def test_frames_of_any_size_arrive_whole_and_in_order_both_ways(
    talk: DiscoveryCodec, discovery: DiscoveryCodec
) -> None:
    sizes = [1, 3, 1_000_000, 4, 65_536, 2, 300_000]
    frames = [bytes([number]) * size for number, size in enumerate(sizes, 1)]
    async with opened(discovery) as ends:
        connection = await ends.ask(talk)
        assert connection is not None
        await wait_until(lambda: ends.manager.heard == [(ADA, b"")])
        for frame in frames:
            connection.send(frame)
            ends.manager.direct_connections[ADA].send(frame)
        await wait_until(lambda: len(ends.manager.frames) == len(ends.worker.frames) == len(sizes))
        assert ends.manager.frames == ends.worker.frames == frames
        assert {peer for peer, _ in ends.worker.heard} == {MANAGER}
        connection.close()


async def test_the_manager_s_end_says_nothing_before_it_has_heard_something() -> None:
    async with opened() as ends, raw_end(ends) as end:
        ends.manager.direct_connections[ADA].send(b"too early")
        end.writer.write(end.keepalive())
        await wait_until(lambda: ends.manager.heard == [(ADA, b"")])
        ends.manager.direct_connections[ADA].send(b"in time")
        assert [await end.read() for _ in range(2)] == [(1, bytes(7) + b"\1"), (0, b"in time")]


async def test_each_end_is_told_whose_session_the_others_is() -> None:
    async with opened() as ends:
        connection = await ends.ask()
        assert connection is not None
        assert connection.public_key == MANAGERS.public_key
        assert ends.manager.direct_connections[ADA].public_key == ADAS.public_key
        assert (ends.worker.keys, ends.manager.keys) == (
            {MANAGERS.public_key},
            {ADAS.public_key},
        )
        connection.close()


async def test_what_goes_by_a_direct_connection_shows_nothing_of_its_content() -> None:
    async with opened() as ends, raw_end(ends) as end:
        end.writer.write(end.keepalive())
        await wait_until(lambda: ends.manager.heard == [(ADA, b"")])
        ends.manager.direct_connections[ADA].send(b"the secret ingredient is love")
        assert b"ingredient" not in await end.reader.read(1_000)


FORGERIES: dict[str, Callable[[bytes, bytes, bytes], bytes]] = {
    "four zero bytes": lambda first, second, third: bytes(4),
    "an empty keepalive": lambda first, second, third: (1 << 31).to_bytes(4, "big"),
    "a keepalive in the clear": lambda first, second, third: b"\x80\0\0\x08" + bytes(8),
    "a keepalive of noise": lambda first, second, third: b"\x80\0\0\x24" + bytes(36),
    "a frame in the clear": lambda first, second, third: b"\0\0\0\x24N.\x01\0" + bytes(32),
    "a frame of noise": lambda first, second, third: b"\0\0\0\x3c" + bytes(60),
    "the same again": lambda first, second, third: first,
    "one was swallowed": lambda first, second, third: third,
    "a bit was flipped": lambda first, second, third: second[:20] + b"\xff" + second[21:],
    "a frame as a keepalive": lambda first, second, third: b"\x80" + second[1:],
    "it claims too much": lambda first, second, third: (MAX_RECORD_BYTES + 1).to_bytes(4, "big"),
}
"""What somebody between may say after the first of three good records."""


@pytest.mark.parametrize("kind", FORGERIES)
async def test_what_nobody_sealed_for_this_moment_ends_the_direct_connection_and_counts_for_nothing(
    kind: str,
) -> None:
    async with opened() as ends, raw_end(ends) as end:
        good = (end.keepalive(), end.record(b"N.\xffframe"), end.record(b"another"))
        end.writer.write(good[0] + FORGERIES[kind](*good))
        await wait_until(lambda: ends.manager.direct_connections == {})
        assert ends.manager.heard == [(ADA, b"")]


async def test_what_was_recorded_of_a_direct_connection_opens_on_no_other() -> None:
    async with opened() as ends:
        async with raw_end(ends) as end:
            recorded = end.keepalive()
            end.writer.write(recorded)
            await wait_until(lambda: ends.manager.heard == [(ADA, b"")])
        async with raw_end(ends) as end:
            end.writer.write(recorded)
            await wait_until(lambda: ends.manager.direct_connections == {})
            assert ends.manager.heard == [(ADA, b"")]


async def test_what_comes_back_to_its_sender_counts_for_nothing() -> None:
    async with opened() as ends, raw_end(ends) as end:
        end.writer.write(end.keepalive())
        echoed = await end.reader.readexactly(40)
        end.writer.write(echoed)
        await wait_until(lambda: ends.manager.direct_connections == {})
        assert ends.manager.heard == [(ADA, b"")]


async def test_a_worker_of_an_earlier_version_gets_no_direct_connection_and_no_complaint() -> None:
    async with opened() as ends:
        reader, writer = await asyncio.open_connection(LOOPBACK, ends.port)
        _, length = read_head(await reader.readexactly(HEAD_BYTES), DiscoveryKind.GREETING)
        await reader.readexactly(length)
        writer.write(b"N.\x03" + bytes((DiscoveryKind.FORMER_CONNECT,)) + b"\0\x40" + bytes(64))
        assert await reader.read() == b""
        writer.close()
        assert (ends.manager.direct_connections, ends.dropped) == ({}, [])


async def test_who_was_not_let_in_gets_none() -> None:
    async with opened() as ends:
        assert await ends.ask(address="12D3KooWMallory") is None
        assert ends.manager.direct_connections == {}
        assert ends.dropped == []


async def test_who_has_another_secret_gets_none_and_is_counted() -> None:
    async with opened() as ends:
        assert await ends.ask(DiscoveryCodec(WorkspaceSecret(bytes(32)), "estate", ADAS)) is None
        assert ends.manager.direct_connections == {}
        assert ends.dropped == ["wrong_secret"]


async def test_nobody_answers_where_there_is_no_discovery() -> None:
    connection = await request_direct_connection(
        LOOPBACK, free_tcp_port(), TALK, address=ADA, manager=MANAGER, holder=Holder({MANAGER})
    )
    assert connection is None


async def test_a_worker_that_has_lost_its_manager_meanwhile_takes_none() -> None:
    async with opened() as ends:
        ends.worker.expected.clear()
        assert await ends.ask() is None
        await wait_until(lambda: ends.manager.direct_connections == {})


async def test_when_one_end_closes_neither_holder_has_it_any_more() -> None:
    for closes_at_manager in (True, False):
        async with opened() as ends:
            connection = await ends.ask()
            assert connection is not None
            (ends.manager.direct_connections[ADA] if closes_at_manager else connection).close()
            await wait_until(
                lambda ends=ends: (
                    not ends.manager.direct_connections and not ends.worker.direct_connections
                )
            )


async def test_a_request_that_was_recorded_gets_no_direct_connection() -> None:
    async with opened() as ends:

        async def visit(said: bytes | None) -> bytes:
            reader, writer = await asyncio.open_connection(LOOPBACK, ends.port)
            _, length = read_head(await reader.readexactly(HEAD_BYTES), DiscoveryKind.GREETING)
            greeting = read_greeting(await reader.readexactly(length))
            request = TALK.connection_request(bytes(16), ADA, Exchange(bytes(32)))
            said = said or TALK.pack_connection_request(greeting, request)
            writer.write(said)
            answer = await reader.read(1)
            writer.close()
            assert bool(answer) is (len(recorded) == 0)
            return said

        recorded: list[bytes] = []
        recorded.append(await visit(None))
        await visit(recorded[0])
        assert ends.dropped == ["wrong_secret"]


async def test_a_direct_connection_whose_other_end_is_silent_is_given_up() -> None:
    async with opened() as ends:
        connection = await ends.ask()
        assert connection is not None
        ends.manager.direct_connections[ADA]._may_speak = False
        ends.manager.direct_connections[ADA]._send_keepalive = lambda: None  # type: ignore[method-assign]
        await asyncio.wait_for(connection.keep(0.02), DEADLINE_S)
        assert ends.worker.direct_connections == {}
        await wait_until(lambda: ends.manager.direct_connections == {})
        assert len([frame for _, frame in ends.manager.heard if not frame]) >= 3


async def test_a_cancel_is_heeded_though_the_direct_connection_ends_at_that_moment() -> None:
    async with opened() as ends:
        connection = await ends.ask()
        assert connection is not None
        keeping = asyncio.ensure_future(connection.keep(60.0))
        await asyncio.sleep(0)
        connection.close()
        keeping.cancel()
        await asyncio.wait([keeping], timeout=DEADLINE_S)
        assert keeping.cancelled()
