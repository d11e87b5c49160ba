"""The relay of the chaos tests, on loopback."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator

import pytest

from .udp_relay import Address, Relay

LOOPBACK = ("127.0.0.1", 0)
DEADLINE_S = 60


class Echo(asyncio.DatagramProtocol):
    """Sends every datagram back, and remembers who sent one."""

    def __init__(self) -> None:
        self.callers: set[Address] = set()

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.callers.add(addr)
        self.transport.sendto(data, addr)


class Client(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.heard.put_nowait(data)


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        Echo, local_addr=LOOPBACK
    )
    yield protocol
    transport.close()


def where(echo: Echo) -> Address:
    host, port = echo.transport.get_extra_info("sockname")
    return host, port


async def dial(address: Address) -> tuple[asyncio.DatagramTransport, Client]:
    return await asyncio.get_running_loop().create_datagram_endpoint(Client, remote_addr=address)


async def settled(relay: Relay, datagrams: int) -> None:
    """Wait until a relay has dealt with so many datagrams."""
    deadline = time.monotonic() + DEADLINE_S
    while relay.counts.passed + relay.counts.lost < datagrams:
        assert time.monotonic() < deadline, relay.counts
        await asyncio.sleep(0.001)


async def test_each_client_hears_its_own_answers_by_a_way_of_its_own(echo: Echo) -> None:
    relay = Relay(where(echo), loss=0.0, delay_s=0.0, chance=random.Random(1))
    address = await relay.listen(LOOPBACK)
    clients = [await dial(address) for _ in range(3)]
    for number, (transport, _) in enumerate(clients):
        for word in (b"first", b"second"):
            transport.sendto(b"%s of %d" % (word, number))
    for number, (transport, client) in enumerate(clients):
        heard = {await asyncio.wait_for(client.heard.get(), DEADLINE_S) for _ in range(2)}
        assert heard == {b"first of %d" % number, b"second of %d" % number}
        transport.close()
    assert len(echo.callers) == relay.counts.clients == 3
    assert (relay.counts.passed, relay.counts.lost) == (12, 0)
    relay.close()


async def test_a_datagram_is_late_by_the_delay_each_way(echo: Echo) -> None:
    relay = Relay(where(echo), loss=0.0, delay_s=0.05, chance=random.Random(1))
    transport, client = await dial(await relay.listen(LOOPBACK))
    sent_at = time.monotonic()
    transport.sendto(b"late")
    assert await asyncio.wait_for(client.heard.get(), DEADLINE_S) == b"late"
    assert time.monotonic() - sent_at >= 0.1
    transport.close()
    relay.close()


async def test_the_seed_says_how_many_are_lost(echo: Echo) -> None:
    relay = Relay(where(echo), loss=0.1, delay_s=0.0, chance=random.Random(7))
    transport, client = await dial(await relay.listen(LOOPBACK))
    chance, choices, lost = random.Random(7), 0, 0
    for _ in range(500):
        # One at a time: the fate of each is the next choice, or the next two if it is answered.
        transport.sendto(b"?")
        choices += 1
        if chance.random() < 0.1:
            lost += 1
        else:
            choices += 1
            lost += chance.random() < 0.1
        await settled(relay, choices)
    assert relay.counts.lost == lost
    assert 50 < lost < 150
    assert client.heard.qsize() == 500 - lost
    transport.close()
    relay.close()
