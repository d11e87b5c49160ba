"""The door itself, on loopback: what comes in, and who gets no answer."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace

import pytest
from muster.agents.kernel.discovery import DiscoveryCodec, LaneAddress
from muster.agents.kernel.security.workspace_secret import WorkspaceSecret
from muster.agents.runtime.ports import LOOPBACK
from muster.agents.transport import connection_request, discovery
from muster.agents.transport.direct_connection import ConnectionHolder, DirectConnection
from muster.agents.transport.discovery import (
    ask_for_lane,
    request_direct_connection,
    serve_discovery,
)
from muster.messages import DecodeError

SECRET = WorkspaceSecret(bytes(range(32)))
TALK = DiscoveryCodec(SECRET, "estate")
DEADLINE_S = 60.0
HOME = LaneAddress("estate", "peer", 9000)


@dataclass
class Discovery:
    """An open door, who asked at it, and what was dropped."""

    port: int
    asked: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)


def free_tcp_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def opened(
    talk: DiscoveryCodec = TALK, holder: ConnectionHolder | None = None
) -> AsyncIterator[Discovery]:
    at = Discovery(free_tcp_port())

    async def find_lane(name: str) -> LaneAddress:
        at.asked.append(name)
        return HOME

    def drop(fault: DecodeError) -> None:
        at.dropped.append(fault.flaw.value)

    async with serve_discovery(at.port, talk, find_lane, drop, holder):
        yield at


async def until(happens: Callable[[], bool]) -> None:
    async def look() -> None:
        while not happens():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(look(), DEADLINE_S)


async def say(port: int, data: bytes, *, wait: bool = True) -> bytes:
    """Say something at a door, and hear all that it says until it closes."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.write(data)
    try:
        return await asyncio.wait_for(reader.read(), DEADLINE_S) if wait else b""
    finally:
        writer.close()


@pytest.mark.parametrize("talk", [TALK, DiscoveryCodec(None, "estate")], ids=["sealed", "insecure"])
async def test_who_asks_learns_its_place(talk: DiscoveryCodec) -> None:
    async with opened(talk) as at:
        assert await ask_for_lane(LOOPBACK, at.port, talk, "Ada") == HOME
    assert (at.asked, at.dropped) == (["Ada"], [])


async def test_sixty_four_at_once_all_learn_their_place(monkeypatch: pytest.MonkeyPatch) -> None:
    # On a machine that does much else, 64 connections to one loop take more than the usual second.
    monkeypatch.setattr(discovery, "CONNECT_TIMEOUT_S", 30.0)
    monkeypatch.setattr(connection_request, "GREETING_TIMEOUT_S", 30.0)
    async with opened() as at:
        names = [f"worker {number}" for number in range(64)]
        answers = await asyncio.gather(
            *(ask_for_lane(LOOPBACK, at.port, TALK, name) for name in names)
        )
    assert answers == [HOME] * 64
    assert sorted(at.asked) == sorted(names)


async def test_a_name_of_any_length_or_kind_does_no_harm() -> None:
    async with opened() as at:
        assert await ask_for_lane(LOOPBACK, at.port, TALK, "A" * 5_000) == HOME
        assert await ask_for_lane(LOOPBACK, at.port, TALK, "\ud800") is None
        assert await ask_for_lane(LOOPBACK, at.port, TALK, "Ada") == HOME
    assert at.asked == ["A" * 200, "Ada"]


async def test_who_has_another_secret_gets_no_answer_and_is_counted() -> None:
    stranger = DiscoveryCodec(WorkspaceSecret(bytes(32)), "estate")
    async with opened() as at:
        assert await ask_for_lane(LOOPBACK, at.port, stranger, "Mallory") is None
    assert (at.asked, at.dropped) == ([], ["wrong_secret"])


async def test_who_does_not_seal_asks_no_sealed_discovery() -> None:
    async with opened() as at:
        assert await ask_for_lane(LOOPBACK, at.port, DiscoveryCodec(None, "estate"), "Ada") is None
    assert at.asked == []


async def test_a_secret_is_not_given_away_to_a_discovery_that_does_not_seal() -> None:
    async with opened(DiscoveryCodec(None, "estate")) as at:
        assert await ask_for_lane(LOOPBACK, at.port, TALK, "Ada") is None
    assert at.asked == []


async def test_a_recorded_question_is_not_answered_again() -> None:
    recorded = bytearray()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inward, outward = await asyncio.open_connection(LOOPBACK, at.port)
        writer.write(await inward.read(100))
        recorded.extend(await reader.read(1_000))
        outward.write(recorded)
        writer.write(await inward.read())
        for each in (outward, writer):
            each.close()

    async with opened() as at:
        listening = await asyncio.start_server(relay, LOOPBACK, 0)
        port = listening.sockets[0].getsockname()[1]
        assert await ask_for_lane(LOOPBACK, port, TALK, "Ada") == HOME
        assert len(await say(at.port, bytes(recorded))) == len(b"N.\x03\x01\0\0") + 17
        listening.close()
    assert (at.asked, at.dropped) == (["Ada"], ["wrong_secret"])


@pytest.mark.parametrize(
    ("data", "flaw"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "garbage"),
        (b"N.\x03\x02\xff\xff" + bytes(100), "oversized"),
        (b"N.\x09\x02\x00\x10" + bytes(16), "version"),
        (b"N.\x03\x02\x00\x05hello", "garbage"),
        (b"N.\x03\x02\x00\x40" + bytes(64), "wrong_secret"),
    ],
)
async def test_garbage_is_counted_and_the_next_one_is_answered(data: bytes, flaw: str) -> None:
    async with opened() as at:
        await say(at.port, data)
        assert await ask_for_lane(LOOPBACK, at.port, TALK, "Ada") == HOME
    assert at.dropped == [flaw]


async def test_who_says_nothing_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "LIMITS", replace(discovery.LIMITS, ask_within_s=0.05))
    async with opened() as at:
        heard = await say(at.port, b"N.")
    assert len(heard) == len(b"N.\x03\x01\0\0") + 17
    assert (at.asked, at.dropped) == ([], [])


async def test_a_newcomer_gets_the_place_of_one_that_asks_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(discovery, "LIMITS", replace(discovery.LIMITS, connections=2))
    async with opened() as at:
        silent = [await asyncio.open_connection(LOOPBACK, at.port) for _ in range(5)]
        assert await ask_for_lane(LOOPBACK, at.port, TALK, "Ada") == HOME
        heard = await asyncio.gather(*(reader.read() for reader, _ in silent[:3]))
        assert len(heard) == 3
        for _, writer in silent:
            writer.close()
    assert at.asked == ["Ada"]


async def test_who_is_being_answered_keeps_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "LIMITS", replace(discovery.LIMITS, connections=2))
    may_answer = asyncio.Event()
    asked: set[str] = set()

    async def find_lane(name: str) -> LaneAddress:
        asked.add(name)
        await may_answer.wait()
        return HOME

    port = free_tcp_port()
    async with serve_discovery(port, TALK, find_lane, print):
        asking = [
            asyncio.ensure_future(ask_for_lane(LOOPBACK, port, TALK, name))
            for name in ("Ada", "Ben")
        ]
        await until(lambda: asked == {"Ada", "Ben"})
        assert await ask_for_lane(LOOPBACK, port, TALK, "Cleo") is None
        may_answer.set()
        assert await asyncio.gather(*asking) == [HOME, HOME]


class Holder:
    """Lets everybody have a wire, and keeps those that have not ended."""

    def __init__(self) -> None:
        self.direct_connections: list[DirectConnection] = []
        self.heard: list[bytes] = []

    def accepts_direct(self, peer: str, public_key: bytes) -> bool:
        return True

    def attach(self, peer: str, connection: DirectConnection) -> None:
        self.direct_connections.append(connection)

    def detach(self, peer: str, connection: DirectConnection) -> None:
        self.direct_connections.remove(connection)

    def receive_direct(self, peer: str, frame: bytes) -> None:
        self.heard.append(frame)

    def probe_link(self) -> None:
        pass


async def test_a_direct_connection_is_under_no_limit_of_discovery_and_takes_no_place_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    short = replace(discovery.LIMITS, connections=1, ask_within_s=0.2, answer_within_s=0.2)
    monkeypatch.setattr(discovery, "LIMITS", short)
    talk = DiscoveryCodec(None, "estate")
    here, there = Holder(), Holder()
    async with opened(talk, here) as at:
        for _ in range(3):
            connection = None
            # On a busy machine to ask may take longer than these short limits allow.
            while connection is None:
                connection = await request_direct_connection(
                    LOOPBACK, at.port, talk, address="ada", manager="boss", holder=there
                )
        await asyncio.sleep(1.5)
        while await ask_for_lane(LOOPBACK, at.port, talk, "Ada") != HOME:
            pass
        assert (len(here.direct_connections), len(there.direct_connections)) == (3, 3)
        there.direct_connections[0].send(b"frame")
        await until(lambda: b"frame" in here.heard)
    # The door has closed, and wires are their holders' to end.
    assert (len(here.direct_connections), len(there.direct_connections)) == (3, 3)
    for each in (*here.direct_connections, *there.direct_connections):
        each.close()


async def test_a_closed_discovery_gives_no_answer_and_takes_no_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(discovery, "CONNECT_TIMEOUT_S", 10 * DEADLINE_S)
    for timeout in ("GREETING_TIMEOUT_S", "ANSWER_TIMEOUT_S"):
        monkeypatch.setattr(connection_request, timeout, 10 * DEADLINE_S)
    asking = ask_for_lane(LOOPBACK, free_tcp_port(), TALK, "Ada")
    assert await asyncio.wait_for(asking, DEADLINE_S) is None


@pytest.mark.parametrize(
    "says", [b"", b"220 mail.example.org\r\n", b"N.\x03\x01\x00\x11" + bytes(17)]
)
async def test_somebody_else_behind_the_port_gives_no_answer(
    says: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_request, "GREETING_TIMEOUT_S", 0.05)
    monkeypatch.setattr(connection_request, "ANSWER_TIMEOUT_S", 0.05)

    has_left = asyncio.Event()

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(says)
        with contextlib.suppress(OSError):
            await reader.read()
        writer.close()
        has_left.set()

    listening = await asyncio.start_server(receive, LOOPBACK, 0)
    port = listening.sockets[0].getsockname()[1]
    assert await ask_for_lane(LOOPBACK, port, TALK, "Ada") is None
    await has_left.wait()
    listening.close()


async def test_a_port_of_somebody_else_is_told() -> None:
    async with opened() as at:
        with pytest.raises(OSError, match="Address already in use"):
            async with serve_discovery(at.port, TALK, lambda name: asyncio.sleep(0, HOME), print):
                pass


async def come_and_say_nothing(port: int) -> None:
    with socket.socket() as coming:
        coming.setblocking(False)
        coming.connect_ex((LOOPBACK, port))
        await asyncio.sleep(1)


async def ask(port: int) -> None:
    await ask_for_lane(LOOPBACK, port, TALK, "Ada")


@pytest.mark.parametrize("come", [come_and_say_nothing, ask])
@pytest.mark.parametrize("cancelled", ["the door", "who comes", "both"])
@pytest.mark.parametrize(
    "times",
    [pytest.param(1, marks=pytest.mark.exhaustive), pytest.param(2, marks=pytest.mark.slow)],
)
def test_whenever_all_is_cancelled_each_connection_is_closed(
    come: Callable[[int], Awaitable[None]],
    cancelled: str,
    times: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def keep_open(opens: asyncio.Future[int]) -> None:
        async with opened() as at:
            opens.set_result(at.port)
            await asyncio.sleep(60)

    async def cancel_after(turns: int) -> None:
        opens: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        keeping = asyncio.ensure_future(keep_open(opens))
        coming = asyncio.ensure_future(come(await opens))
        for _ in range(turns):
            await asyncio.sleep(0)
        chosen = {"the door": [keeping], "who comes": [coming], "both": [keeping, coming]}
        for _ in range(times):
            for task in chosen[cancelled]:
                task.cancel()
            await asyncio.sleep(0)
        # What is left is cancelled by `asyncio.run`.

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ResourceWarning)
        for turns in range(20):
            asyncio.run(cancel_after(turns))
        gc.collect()
    assert [str(each.message) for each in told] == []
    assert caplog.messages == []
