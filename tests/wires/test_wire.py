"""Wires on loopback: who gets one, what comes by it, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
from muster.agents.door import ask_for_wire, open_door
from muster.agents.kernel.door_words import (
    HEAD_BYTES,
    DoorKind,
    DoorTalk,
    Place,
    WireRequest,
    read_greeting,
    read_head,
)
from muster.agents.kernel.sealed_frame import MAX_SEALED_BYTES
from muster.agents.kernel.workspace_secret import WorkspaceSecret
from muster.agents.surroundings import LOOPBACK
from muster.agents.wire import Wire
from muster.messages import DecodeError

SECRET = WorkspaceSecret(bytes(range(32)))
TALK = DoorTalk(SECRET, "estate")
MANAGER, ADA = "12D3KooWManager", "12D3KooWAda"
DEADLINE_S = 10.0


@dataclass
class Holder:
    """Has wires, and notes what comes by them."""

    expected: set[str] = field(default_factory=set)
    wires: dict[str, Wire] = field(default_factory=dict)
    heard: list[tuple[str, bytes]] = field(default_factory=list)

    def expects_wire(self, peer: str) -> bool:
        return peer in self.expected

    def attach(self, peer: str, wire: Wire) -> None:
        self.wires[peer] = wire

    def detach(self, peer: str, wire: Wire) -> None:
        if self.wires.get(peer) is wire:
            del self.wires[peer]

    def receive_by_wire(self, peer: str, frame: bytes) -> None:
        self.heard.append((peer, frame))

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

    async def ask(self, talk: DoorTalk = TALK, address: str = ADA) -> Wire | None:
        return await ask_for_wire(
            LOOPBACK, self.port, talk, address=address, manager=MANAGER, holder=self.worker
        )


def free_tcp_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def opened(talk: DoorTalk = TALK) -> AsyncIterator[Ends]:
    ends = Ends(free_tcp_port())

    async def find_place(name: str) -> Place:
        return Place("estate", MANAGER, 9000)

    def drop(fault: DecodeError) -> None:
        ends.dropped.append(fault.flaw.value)

    async with open_door(ends.port, talk, find_place, drop, ends.manager):
        yield ends


async def wait_until(happens: Callable[[], bool]) -> None:
    async def look() -> None:
        while not happens():
            await asyncio.sleep(0.005)

    await asyncio.wait_for(look(), DEADLINE_S)


@pytest.mark.parametrize("talk", [TALK, DoorTalk(None, "estate")], ids=["sealed", "insecure"])
async def test_frames_of_any_size_arrive_whole_and_in_order_both_ways(talk: DoorTalk) -> None:
    sizes = [1, 3, 1_000_000, 4, 65_536, 2, 300_000]
    frames = [bytes([number]) * size for number, size in enumerate(sizes, 1)]
    async with opened(talk) as ends:
        wire = await ends.ask(talk)
        assert wire is not None
        await wait_until(lambda: ends.manager.heard == [(ADA, b"")])
        for frame in frames:
            wire.send(frame)
            ends.manager.wires[ADA].send(frame)
        await wait_until(lambda: len(ends.manager.frames) == len(ends.worker.frames) == len(sizes))
        assert ends.manager.frames == ends.worker.frames == frames
        assert {peer for peer, _ in ends.worker.heard} == {MANAGER}
        wire.close()


async def test_the_manager_s_end_says_nothing_before_it_has_heard_something() -> None:
    async with opened() as ends:
        reader, writer = await asyncio.open_connection(LOOPBACK, ends.port)
        _, length = read_head(await reader.readexactly(HEAD_BYTES), DoorKind.GREETING)
        greeting = read_greeting(await reader.readexactly(length))
        writer.write(TALK.pack_wire_request(greeting, WireRequest(bytes(16), ADA)))
        _, length = read_head(await reader.readexactly(HEAD_BYTES), DoorKind.WIRED)
        await reader.readexactly(length)
        ends.manager.wires[ADA].send(b"too early")
        writer.write(bytes(4))
        await wait_until(lambda: ends.manager.heard == [(ADA, b"")])
        ends.manager.wires[ADA].send(b"in time")
        assert await reader.readexactly(11) == b"\0\0\0\7in time"
        writer.close()


async def test_who_was_not_let_in_gets_none() -> None:
    async with opened() as ends:
        assert await ends.ask(address="12D3KooWMallory") is None
        assert ends.manager.wires == {}
        assert ends.dropped == []


async def test_who_has_another_secret_gets_none_and_is_counted() -> None:
    async with opened() as ends:
        assert await ends.ask(DoorTalk(WorkspaceSecret(bytes(32)), "estate")) is None
        assert ends.manager.wires == {}
        assert ends.dropped == ["wrong_secret"]


async def test_nobody_answers_where_there_is_no_door() -> None:
    wire = await ask_for_wire(
        LOOPBACK, free_tcp_port(), TALK, address=ADA, manager=MANAGER, holder=Holder({MANAGER})
    )
    assert wire is None


async def test_a_worker_that_has_lost_its_manager_meanwhile_takes_none() -> None:
    async with opened() as ends:
        ends.worker.expected.clear()
        assert await ends.ask() is None
        await wait_until(lambda: ends.manager.wires == {})


async def test_when_one_end_closes_neither_holder_has_it_any_more() -> None:
    for closes_at_manager in (True, False):
        async with opened() as ends:
            wire = await ends.ask()
            assert wire is not None
            (ends.manager.wires[ADA] if closes_at_manager else wire).close()
            await wait_until(lambda ends=ends: not ends.manager.wires and not ends.worker.wires)


async def test_a_frame_that_claims_too_much_ends_the_wire() -> None:
    async with opened() as ends:
        reader, writer = await asyncio.open_connection(LOOPBACK, ends.port)
        _, length = read_head(await reader.readexactly(HEAD_BYTES), DoorKind.GREETING)
        greeting = read_greeting(await reader.readexactly(length))
        writer.write(TALK.pack_wire_request(greeting, WireRequest(bytes(16), ADA)))
        await wait_until(lambda: ADA in ends.manager.wires)
        writer.write((MAX_SEALED_BYTES + 1).to_bytes(4, "big"))
        await wait_until(lambda: ends.manager.wires == {})
        assert ends.manager.heard == []
        writer.close()


async def test_a_request_that_was_recorded_gets_no_wire() -> None:
    async with opened() as ends:

        async def visit(said: bytes | None) -> bytes:
            reader, writer = await asyncio.open_connection(LOOPBACK, ends.port)
            _, length = read_head(await reader.readexactly(HEAD_BYTES), DoorKind.GREETING)
            greeting = read_greeting(await reader.readexactly(length))
            said = said or TALK.pack_wire_request(greeting, WireRequest(bytes(16), ADA))
            writer.write(said)
            answer = await reader.read(1)
            writer.close()
            assert bool(answer) is (len(recorded) == 0)
            return said

        recorded: list[bytes] = []
        recorded.append(await visit(None))
        await visit(recorded[0])
        assert ends.dropped == ["wrong_secret"]


async def test_a_wire_whose_other_end_is_silent_is_given_up() -> None:
    async with opened() as ends:
        wire = await ends.ask()
        assert wire is not None
        # The manager says nothing by it: there is no conversation here.
        await asyncio.wait_for(wire.keep(0.02), DEADLINE_S)
        assert ends.worker.wires == {}
        await wait_until(lambda: ends.manager.wires == {})
        assert len([frame for _, frame in ends.manager.heard if not frame]) >= 3


async def test_a_cancel_is_heeded_though_the_wire_ends_at_that_moment() -> None:
    async with opened() as ends:
        wire = await ends.ask()
        assert wire is not None
        keeping = asyncio.ensure_future(wire.keep(60.0))
        await asyncio.sleep(0)
        wire.close()
        keeping.cancel()
        await asyncio.wait([keeping], timeout=DEADLINE_S)
        assert keeping.cancelled()
