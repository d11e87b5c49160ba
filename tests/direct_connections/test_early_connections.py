"""Wires of those that a manager has not let in yet."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import cast

from muster.agents import MemoryNetwork, run_in_virtual_time
from muster.agents.transport.connection_limits import affordable
from muster.agents.transport.direct_connection import ConnectionHolder, DirectConnection
from muster.agents.transport.lane_router import (
    EARLY_CONNECTION_TIMEOUT_S,
    MAX_EARLY_CONNECTIONS,
    LaneRouter,
)
from muster.messages import Heartbeat
from muster.messages.frame import ANY_MANAGER, EVERYONE


@dataclass(eq=False)
class FakeConnection:
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


def make_router() -> LaneRouter:
    return LaneRouter(
        MemoryNetwork().join("boss", lambda _: None),
        listens_to=frozenset({EVERYONE, ANY_MANAGER}),
        arrived=lambda *_: None,
        also={},
    )


def hang(router: LaneRouter, peer: str) -> FakeConnection:
    connection = FakeConnection(peer, router)
    router.attach(peer, cast("DirectConnection", connection))
    return connection


async def play_who_is_let_in() -> None:
    router = make_router()
    running = asyncio.ensure_future(router.run())
    connection = hang(router, "ada")
    router.receive_direct("ada", b"")
    router.open("ada", "talk")
    await asyncio.sleep(EARLY_CONNECTION_TIMEOUT_S + 1)
    assert not connection.is_closed
    router.post("ada", Heartbeat())
    await asyncio.sleep(0.5)
    assert len(connection.sent[0]) > 0
    running.cancel()


def test_what_is_first_said_to_who_is_let_in_goes_by_its_direct_connection() -> None:
    run_in_virtual_time(play_who_is_let_in())


async def play_who_is_not() -> None:
    router = make_router()
    connection = hang(router, "mallory")
    await asyncio.sleep(EARLY_CONNECTION_TIMEOUT_S - 1)
    assert not connection.is_closed
    await asyncio.sleep(2)
    assert connection.is_closed
    router.open("mallory", "talk")
    assert connection.sent == []


async def play_who_is_silent() -> None:
    router = make_router()
    running = asyncio.ensure_future(router.run())
    connection = hang(router, "ada")
    router.open("ada", "talk")
    router.post("ada", Heartbeat())
    await asyncio.sleep(1)
    assert b"".join(connection.sent) == b""
    router.receive_direct("ada", b"")
    router.post("ada", Heartbeat())
    await asyncio.sleep(1)
    assert b"".join(connection.sent) != b""
    running.cancel()


def test_nothing_goes_by_an_early_direct_connection_before_something_has_come_by_it() -> None:
    run_in_virtual_time(play_who_is_silent())


def test_who_is_not_let_in_loses_its_direct_connection() -> None:
    run_in_virtual_time(play_who_is_not())


async def play_unanswered() -> None:
    router = make_router()
    running = asyncio.ensure_future(router.run())
    connection = hang(router, "ada")
    router.open("ada", "talk")
    router.receive_direct("ada", b"")
    router.post("ada", Heartbeat())
    await asyncio.sleep(0.9)
    assert not connection.is_closed
    await asyncio.sleep(0.2)
    assert connection.is_closed
    running.cancel()


def test_a_direct_connection_by_which_something_must_be_sent_again_is_given_up() -> None:
    run_in_virtual_time(play_unanswered())


async def play_many() -> None:
    router = make_router()
    router.open("ada", "talk")
    direct_connections = [
        hang(router, f"stranger {number}") for number in range(affordable(MAX_EARLY_CONNECTIONS))
    ]
    assert not router.accepts_direct("one more", b"")
    assert router.accepts_direct("ada", b"")
    direct_connections[0].close()
    assert router.accepts_direct("one more", b"")
    router.close_direct_connections()
    assert all(connection.is_closed for connection in direct_connections)


def test_only_so_many_wait_and_take_nothing_from_those_that_are_in() -> None:
    run_in_virtual_time(play_many())


async def play_another() -> None:
    router = make_router()
    first, second = hang(router, "ada"), hang(router, "ada")
    assert first.is_closed
    assert not second.is_closed
    router.open("ada", "talk")
    third = hang(router, "ada")
    assert second.is_closed
    assert not third.is_closed


def test_a_second_direct_connection_takes_the_place_of_the_first() -> None:
    run_in_virtual_time(play_another())
