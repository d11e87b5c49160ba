"""Whether a manager is at home can be asked without an agent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest
from muster.agents import TaskManager
from muster.agents.runtime.ports import LOOPBACK, claim_port
from muster.agents.transport.quic_probe import answers_probe


class _Answering(asyncio.DatagramProtocol):
    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self.answer = answer
        self.heard: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.heard.append(data)
        if answer := self.answer(data):
            self.transport.sendto(answer, addr)  # type: ignore[attr-defined]


@contextlib.asynccontextmanager
async def answering(answer: Callable[[bytes], bytes]) -> AsyncIterator[tuple[int, _Answering]]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        lambda: _Answering(answer), local_addr=(LOOPBACK, 0)
    )
    try:
        yield transport.get_extra_info("sockname")[1], protocol
    finally:
        transport.close()


def as_a_quic_server(data: bytes) -> bytes:
    """Tell the versions it speaks, with the two connection ids exchanged (RFC 9000, 17.2.1)."""
    theirs, ours = data[6:14], data[15:23]
    return b"\x80\0\0\0\0\x08" + ours + b"\x08" + theirs + b"\0\0\0\x01"


async def test_a_quic_server_is_at_home() -> None:
    async with answering(as_a_quic_server) as (port, protocol):
        assert await answers_probe(LOOPBACK, port)
    # Less would not be answered.
    assert [len(data) for data in protocol.heard] == [1_200]


async def test_who_answers_something_else_is_not() -> None:
    async with answering(lambda data: b"hello") as (port, _):
        assert not await answers_probe(LOOPBACK, port)


async def test_who_says_nothing_is_not() -> None:
    async with answering(lambda data: b"") as (port, _):
        assert not await answers_probe(LOOPBACK, port, timeout_s=0.05)


async def test_nobody_is_at_home_behind_a_closed_port() -> None:
    assert not await answers_probe(LOOPBACK, claim_port(), timeout_s=0.2)


async def test_an_address_that_leads_nowhere_is_no_error() -> None:
    assert not await answers_probe("255.255.255.255", 9, timeout_s=0.1)


@pytest.mark.ceylon
async def test_a_manager_is_at_home_while_it_runs() -> None:
    manager = TaskManager(expected_workers=1, port=0, quiet=True)
    port = manager.ticket().port
    assert not await answers_probe(LOOPBACK, port, timeout_s=0.1)
    running = asyncio.ensure_future(manager.start_agent(b""))

    async def opens() -> None:
        while not await answers_probe(LOOPBACK, port, timeout_s=0.2):
            await asyncio.sleep(0.05)

    await asyncio.wait_for(opens(), 60)
    await manager.stop()
    await running
