"""Wires of those that a manager has not let in yet."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import cast

from muster.agents import MemoryNetwork, run_in_virtual_time
from muster.agents.transport.connection_limits import affordable
from muster.agents.transport.direct_connection import ConnectionHolder, DirectConnection
from muster.agents.transport.lane_router import (
    EARLY_WIRE_PATIENCE_S,
    MAX_EARLY_WIRES,
    LaneRouter,
)
from muster.messages import Heartbeat
from muster.messages.frame import ANY_MANAGER, EVERYONE


@dataclass(eq=False)
class FakeWire:
    """A wire that leads nowhere, and notes what is sent by it."""

    peer: str
    holder: ConnectionHolder
    sent: list[bytes] = field(default_factory=list)
    is_closed: bool = False
    public_key: bytes = b""

    def send(self, frame: bytes) -> None:
        self.sent.append(frame)

    def close(self) -> None:
        self.is_closed = True
        self.holder.detach(self.peer, cast("DirectConnection", self))

    def give_up(self, reason: str) -> None:
        self.close()


def make_office() -> LaneRouter:
    return LaneRouter(
        MemoryNetwork().join("boss", lambda _: None),
        listens_to=frozenset({EVERYONE, ANY_MANAGER}),
        arrived=lambda *_: None,
        also={},
    )


def hang(office: LaneRouter, peer: str) -> FakeWire:
    wire = FakeWire(peer, office)
    office.attach(peer, cast("DirectConnection", wire))
    return wire


async def play_who_is_let_in() -> None:
    office = make_office()
    running = asyncio.ensure_future(office.run())
    wire = hang(office, "ada")
    office.receive_by_wire("ada", b"")
    office.open("ada", "talk")
    await asyncio.sleep(EARLY_WIRE_PATIENCE_S + 1)
    assert not wire.is_closed
    office.post("ada", Heartbeat())
    await asyncio.sleep(0.5)
    assert len(wire.sent[0]) > 0
    running.cancel()


def test_what_is_first_said_to_who_is_let_in_goes_by_its_wire() -> None:
    run_in_virtual_time(play_who_is_let_in())


async def play_who_is_not() -> None:
    office = make_office()
    wire = hang(office, "mallory")
    await asyncio.sleep(EARLY_WIRE_PATIENCE_S - 1)
    assert not wire.is_closed
    await asyncio.sleep(2)
    assert wire.is_closed
    office.open("mallory", "talk")
    assert wire.sent == []


async def play_who_is_silent() -> None:
    office = make_office()
    running = asyncio.ensure_future(office.run())
    wire = hang(office, "ada")
    office.open("ada", "talk")
    office.post("ada", Heartbeat())
    await asyncio.sleep(1)
    assert b"".join(wire.sent) == b""
    office.receive_by_wire("ada", b"")
    office.post("ada", Heartbeat())
    await asyncio.sleep(1)
    assert b"".join(wire.sent) != b""
    running.cancel()


def test_nothing_goes_by_an_early_wire_before_something_has_come_by_it() -> None:
    run_in_virtual_time(play_who_is_silent())


def test_who_is_not_let_in_loses_its_wire() -> None:
    run_in_virtual_time(play_who_is_not())


async def play_unanswered() -> None:
    office = make_office()
    running = asyncio.ensure_future(office.run())
    wire = hang(office, "ada")
    office.open("ada", "talk")
    office.receive_by_wire("ada", b"")
    office.post("ada", Heartbeat())
    await asyncio.sleep(0.9)
    assert not wire.is_closed
    await asyncio.sleep(0.2)
    assert wire.is_closed
    running.cancel()


def test_a_wire_by_which_something_must_be_sent_again_is_given_up() -> None:
    run_in_virtual_time(play_unanswered())


async def play_many() -> None:
    office = make_office()
    office.open("ada", "talk")
    wires = [hang(office, f"stranger {number}") for number in range(affordable(MAX_EARLY_WIRES))]
    assert not office.expects_wire("one more", b"")
    assert office.expects_wire("ada", b"")
    wires[0].close()
    assert office.expects_wire("one more", b"")
    office.close_wires()
    assert all(wire.is_closed for wire in wires)


def test_only_so_many_wait_and_take_nothing_from_those_that_are_in() -> None:
    run_in_virtual_time(play_many())


async def play_another() -> None:
    office = make_office()
    first, second = hang(office, "ada"), hang(office, "ada")
    assert first.is_closed
    assert not second.is_closed
    office.open("ada", "talk")
    third = hang(office, "ada")
    assert second.is_closed
    assert not third.is_closed


def test_a_second_wire_takes_the_place_of_the_first() -> None:
    run_in_virtual_time(play_another())
