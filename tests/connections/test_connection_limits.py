"""A listener lets nobody use up the process, and keeps nobody out for those who only wait."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest
from muster.agents.transport import connection_limits
from muster.agents.transport.connection_limits import (
    ConnectionLimits,
    LimitedConnection,
    LimitedListener,
    affordable,
)

DEADLINE_S = 60
LIMITS = ConnectionLimits(2, ask_within_s=30, answer_within_s=30, read_within_s=30)


class Echo(asyncio.Protocol):
    """Answers each line after a while; `feed` is answered without an end, `big` with much."""

    def __init__(self, connection: LimitedConnection) -> None:
        self.connection = connection
        self.unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.unread += data
        while b"\n" in self.unread:
            line, _, self.unread = self.unread.partition(b"\n")
            self.connection.begin_answer(may_take_any_time=line == b"feed")
            if line == b"big":
                self.transport.write(bytes(32 * 2**20))
            elif line not in {b"hold", b"feed"}:
                self.transport.write(b"reserved\n" if self.connection.is_reserved else b"ok\n")
                self.connection.await_question()


@dataclass
class Place:
    """Where the listener is."""

    host: str
    port: int
    listener: LimitedListener

    async def come(self, says: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        writer.write(says)
        return reader, writer

    async def ask(self) -> bytes:
        """What a newcomer is answered; nothing if it is turned away."""
        reader, writer = await self.come(b"hello\n")
        try:
            return await asyncio.wait_for(reader.readline(), DEADLINE_S)
        except ConnectionError:
            return b""
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def listening(
    limits: ConnectionLimits = LIMITS, host: str = "127.0.0.1"
) -> AsyncIterator[Place]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.create_server((host, 0), family=family)
    listener = LimitedListener(made, "test", limits, Echo)
    listener.start()
    try:
        yield Place(host, made.getsockname()[1], listener)
    finally:
        await listener.close()


async def until(happens: Callable[[], bool]) -> None:
    async def look() -> None:
        while not happens():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(look(), DEADLINE_S)


def count_answering(place: Place) -> int:
    """How many connections have asked and are being answered."""
    return sum(not each.is_waiting for each in place.listener._connections)


def count_open(place: Place) -> int:
    """How many connections need a place."""
    return sum(not each.is_over for each in place.listener._connections)


async def ends(reader: asyncio.StreamReader) -> bool:
    """Whether the other end closes the connection before long."""
    with contextlib.suppress(ConnectionError):
        await asyncio.wait_for(reader.read(), DEADLINE_S)
    return True


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_newcomer_gets_the_place_of_the_one_that_waits_longest(host: str) -> None:
    async with listening(host=host) as place:
        silent = [await place.come() for _ in range(5)]
        assert await place.ask() == b"ok\n"
        for reader, _ in silent[:3]:
            assert await ends(reader)
        for _, writer in silent:
            writer.close()


async def test_who_was_answered_once_and_never_asks_again_keeps_nobody_out() -> None:
    async with listening() as place:
        kept = [await place.come(b"hello\n") for _ in range(2)]
        for reader, _ in kept:
            await reader.readline()
        assert [await place.ask() for _ in range(3)] == [b"ok\n"] * 3
        for _, writer in kept:
            writer.close()


async def test_where_all_are_busy_a_newcomer_is_turned_away_unless_a_place_is_reserved() -> None:
    for reserved, answers in ((0, [b"", b""]), (1, [b"reserved\n", b"reserved\n"])):
        limits = ConnectionLimits(2, reserved=reserved)
        async with listening(limits) as place:
            busy = [await place.come(b"hold\n") for _ in range(2)]
            await until(lambda place=place: count_answering(place) == 2)
            told = []
            for _ in range(2):
                told.append(await place.ask())
                await until(lambda place=place: count_open(place) == 2)
            assert told == answers
            for _, writer in busy:
                writer.close()


async def test_who_waits_in_a_reserved_place_keeps_nobody_out_either() -> None:
    async with listening(ConnectionLimits(2, reserved=1)) as place:
        busy = [await place.come(b"hold\n") for _ in range(2)]
        await until(lambda: count_answering(place) == 2)
        silent = [await place.come() for _ in range(3)]
        assert await place.ask() == b"reserved\n"
        # Nor do they get a place of the others.
        assert len(place.listener._connections) <= 3
        for _, writer in (*busy, *silent):
            writer.close()


SILENT: dict[str, tuple[bytes, bytes]] = {
    "says nothing": (b"", b""),
    "says half": (b"hel", b""),
    "says a byte now and then": (b"hel", b"l"),
    "says nothing after its answer": (b"hello\n", b""),
    "says half after its answer": (b"hello\nhel", b"l"),
    "waits for an answer without an end": (b"hold\n", b""),
    "asks for much, and does not read": (b"big\n", b""),
}


@pytest.mark.parametrize("kind", SILENT)
async def test_a_connection_is_ended_that(kind: str) -> None:
    first, then = SILENT[kind]
    limits = ConnectionLimits(8, ask_within_s=0.3, answer_within_s=0.3, read_within_s=0.3)
    async with listening(limits) as place:
        with socket.create_connection((place.host, place.port)) as silent:
            silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            silent.sendall(first)
            await until_ended(place, silent, then)


async def until_ended(place: Place, silent: socket.socket, then: bytes) -> None:
    async def look() -> None:
        while not place.listener._connections:
            await asyncio.sleep(0.01)
        while any(not each.is_over for each in place.listener._connections):
            await asyncio.sleep(0.05)
            with contextlib.suppress(OSError):
                silent.sendall(then)

    await asyncio.wait_for(look(), DEADLINE_S)


async def test_a_feed_may_last() -> None:
    limits = ConnectionLimits(8, ask_within_s=30, answer_within_s=0.1, read_within_s=0.1)
    async with listening(limits) as place:
        reader, writer = await place.come(b"feed\n")
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(reader.read(), 0.5)
        writer.close()


async def test_connections_that_are_opened_and_reset_leave_nothing() -> None:
    async with listening() as place:
        await place.ask()
        await until(lambda: count_open(place) == 0)
        before = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0

        def come_and_reset() -> None:
            for _ in range(60):
                made = socket.create_connection((place.host, place.port), timeout=DEADLINE_S)
                made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                made.close()

        await asyncio.to_thread(come_and_reset)
        assert await place.ask() == b"ok\n"
        if sys.platform == "linux":
            most = before + LIMITS.connections
            await until(lambda: len(os.listdir("/proc/self/fd")) <= most)


async def test_who_comes_from_where_most_wait_gives_way_first() -> None:
    limits = ConnectionLimits(4)
    async with listening(limits, "0.0.0.0") as place:
        place.host = "127.0.0.1"
        with socket.socket() as far:
            far.bind(("127.0.0.2", 0))
            far.connect((place.host, place.port))
            flood = [await place.come() for _ in range(20)]
            far.sendall(b"hello\n")
            loop = asyncio.get_running_loop()
            far.setblocking(False)
            assert await asyncio.wait_for(loop.sock_recv(far, 10), DEADLINE_S) == b"ok\n"
            for _, writer in flood:
                writer.close()


async def test_so_many_a_second_are_accepted_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limits, "ACCEPTED_PER_S", 20.0)
    async with listening(ConnectionLimits(1)) as place:
        began_at = time.monotonic()
        # Two at once, and then twenty a second.
        assert [await place.ask() for _ in range(6)] == [b"ok\n"] * 6
        assert time.monotonic() - began_at > 0.15


async def test_a_connection_that_can_not_be_taken_in_does_not_end_the_listener(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with listening() as place:
        make = place.listener._make_protocol
        place.listener._make_protocol = lambda connection: 1 // 0
        for _ in range(3):
            assert await place.ask() == b""
        place.listener._make_protocol = make
        assert await place.ask() == b"ok\n"
    assert len(caplog.records) == 1


async def test_a_closed_listener_has_ended_all_connections() -> None:
    async with listening() as place:
        reader, writer = await place.come(b"hold\n")
        await until(lambda: count_answering(place) == 1)
        await place.listener.close()
        assert await ends(reader)
        writer.close()
        with pytest.raises(OSError, match="Connect call failed"):
            await place.come()


def test_a_process_with_few_descriptors_affords_few_connections() -> None:
    resource = pytest.importorskip("resource")
    assert affordable(4) == 4
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit != resource.RLIM_INFINITY:
        assert affordable(10**9) == limit // 8


WITHOUT_DESCRIPTORS = """
import asyncio, logging, os, resource, socket
from muster.agents.transport.connection_limits import ConnectionLimits, LimitedListener

class Answer(asyncio.Protocol):
    def __init__(self, connection):
        self.connection = connection
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        self.transport.write(b"reserved" if self.connection.is_reserved else b"ok")
        self.transport.close()

async def main():
    made = socket.create_server(("127.0.0.1", 0))
    listener = LimitedListener(made, "test", ConnectionLimits(50, reserved=2), Answer)
    callers = [socket.socket() for _ in range(6)]
    listener.start()
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    held = []
    try:
        while True:
            held.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        pass
    loop = asyncio.get_running_loop()
    for caller in callers:
        caller.setblocking(False)
        await loop.sock_connect(caller, made.getsockname())
        await loop.sock_sendall(caller, b"well?")
        print((await loop.sock_recv(caller, 100)).decode(), flush=True)
        caller.setblocking(True)
    for each in held:
        os.close(each)
    await listener.close()

asyncio.run(main())
"""


@pytest.mark.processes
def test_whoever_asks_is_answered_when_the_process_has_no_descriptor_left() -> None:
    pytest.importorskip("resource")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_DESCRIPTORS],
        capture_output=True,
        text=True,
        check=True,
        timeout=DEADLINE_S,
    )
    first, *others = done.stdout.split()
    assert first == "reserved"
    assert len(others) == 5
    # Once, although it happened again and again.
    assert done.stderr.count("Too many open files") == 1


async def test_an_accepted_connection_sends_at_once() -> None:
    # Otherwise the second of two messages waits for the acknowledgement of the first.
    async with listening() as place:
        await place.ask()
        connection = place.listener._connections[0]
        assert connection.transport is not None
        accepted = connection.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
