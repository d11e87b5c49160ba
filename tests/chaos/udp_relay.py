"""A bad stretch of network: passes UDP datagrams on, late, and loses some.

Run as a program it relays until SIGTERM and then prints what it did, as one line of JSON:

    python udp_relay.py --listen 10.99.1.1:9000 --to 10.99.0.1:9000 \\
        --loss 0.1 --delay-s 0.05 --seed 1
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TypeAlias

Address: TypeAlias = tuple[str, int]

MAX_CLIENTS = 256
MAX_UNDER_WAY = 10_000
"""How many datagrams may be on their way at once; further ones are lost, as in a full router."""


@dataclass
class Counts:
    """What a relay did with the datagrams that it received."""

    passed: int = 0
    lost: int = 0
    clients: int = 0


class Relay:
    """Stands between clients and one server, with a socket towards the server for each client.

    Args:
        server: where clients' datagrams go.
        loss: the share of datagrams that is lost, each way, 0 to 1.
        delay_s: how long each datagram takes, each way, in seconds.
        chance: decides which are lost.
    """

    def __init__(self, server: Address, loss: float, delay_s: float, chance: random.Random) -> None:
        self.counts = Counts()
        self._server = server
        self._loss = loss
        self._delay_s = delay_s
        self._chance = chance
        self._under_way = 0
        self._entrance: asyncio.DatagramTransport | None = None
        self._exits: OrderedDict[Address, asyncio.DatagramTransport] = OrderedDict()
        self._opening: set[asyncio.Task[None]] = set()

    async def listen(self, address: Address) -> Address:
        """Begin; returns the address listened at, whose port was chosen if 0 was given."""
        loop = asyncio.get_running_loop()
        self._entrance, _ = await loop.create_datagram_endpoint(
            lambda: _Receiver(self._from_client), local_addr=address
        )
        host, port = self._entrance.get_extra_info("sockname")
        return host, port

    def close(self) -> None:
        for task in self._opening:
            task.cancel()
        for transport in (self._entrance, *self._exits.values()):
            if transport is not None:
                transport.close()
        self._exits.clear()

    def _from_client(self, data: bytes, client: Address) -> None:
        way = self._exits.get(client)
        if way is not None:
            self._exits.move_to_end(client)
            self._pass_on(data, way, None)
            return
        task = asyncio.ensure_future(self._open(client, data))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, client: Address, first: bytes) -> None:
        loop = asyncio.get_running_loop()
        way, _ = await loop.create_datagram_endpoint(
            lambda: _Receiver(lambda data, _: self._from_server(data, client)),
            remote_addr=self._server,
        )
        # Two first datagrams of a client may each have come to open a way.
        way, spare = self._exits.setdefault(client, way), way
        if way is not spare:
            spare.close()
        else:
            self.counts.clients += 1
        if len(self._exits) > MAX_CLIENTS:
            _, oldest = self._exits.popitem(last=False)
            oldest.close()
        self._pass_on(first, way, None)

    def _from_server(self, data: bytes, client: Address) -> None:
        if self._entrance is not None:
            self._pass_on(data, self._entrance, client)

    def _pass_on(self, data: bytes, way: asyncio.DatagramTransport, to: Address | None) -> None:
        if self._chance.random() < self._loss or self._under_way >= MAX_UNDER_WAY:
            self.counts.lost += 1
            return

        def arrive() -> None:
            self._under_way -= 1
            if not way.is_closing():
                way.sendto(data, to)
                self.counts.passed += 1

        self._under_way += 1
        asyncio.get_running_loop().call_later(self._delay_s, arrive)


class _Receiver(asyncio.DatagramProtocol):
    def __init__(self, receive: Callable[[bytes, Address], None]) -> None:
        self._receive = receive

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._receive(data, addr)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens at the other end; a network says nothing of that."""


async def relay_until_stopped(relay: Relay, listen: Address) -> None:
    """Run a relay until SIGTERM or Ctrl-C."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await relay.listen(listen)
    await stopped.wait()
    relay.close()


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return host, int(port)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", type=_address, required=True)
    parser.add_argument("--to", type=_address, required=True)
    parser.add_argument("--loss", type=float, required=True)
    parser.add_argument("--delay-s", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    wanted = parser.parse_args()
    relay = Relay(wanted.to, wanted.loss, wanted.delay_s, random.Random(wanted.seed))
    asyncio.run(relay_until_stopped(relay, wanted.listen))
    print(json.dumps(asdict(relay.counts)))


if __name__ == "__main__":
    main()
