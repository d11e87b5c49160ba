"""A network inside one process, for tests and rehearsals, with faults on request.

In virtual time and with a seeded fault plan a run is reproducible.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from typing import NamedTuple, Protocol

from ...messages import InvalidInput
from ..transport.link import FrameReceiver

DEFAULT_LATENCY_S = 0.001

_ON_TIME = (0.0,)
_LOST = ()


class FaultPlan(Protocol):
    """Decides the fate of each frame for each receiver: delivered, late, duplicated or lost."""

    def fates(self, sender: str, to: str, frame: bytes, now: float) -> Sequence[float]:
        """Decide about one frame and one receiver.

        Args:
            sender: the address of the sender.
            to: the address of the receiver; a broadcast is decided for each receiver.
            frame: the bytes of the frame.
            now: the loop's time in seconds.

        Returns:
            For each copy that arrives, its delay in seconds; an empty sequence means lost.
        """
        ...


class SeededFaults:
    """Loses, duplicates and delays frames at random; the same seed gives the same faults.

    Args:
        seed: the seed.
        loss: the share of frames that are lost, 0 to 1.
        duplicate: the share of the other frames that arrive twice, 0 to 1.
        delay_s: the maximum delay of a copy in seconds; above 0, frames overtake one another.

    Raises:
        InvalidInput: a share is outside 0 to 1, or the delay is negative.
    """

    def __init__(
        self, seed: int, loss: float = 0.0, duplicate: float = 0.0, delay_s: float = 0.0
    ) -> None:
        for name, share in (("loss", loss), ("duplicate", duplicate)):
            if not 0 <= share <= 1:
                raise InvalidInput(f"{name} is {share!r}; give a share from 0 to 1")
        if delay_s < 0:
            raise InvalidInput(f"delay_s is {delay_s!r}; give 0 or more seconds")
        self._random = random.Random(seed)  # noqa: S311 - reproducible, no secret
        self._loss = loss
        self._duplicate = duplicate
        self._delay_s = delay_s
        self._islands: list[frozenset[str]] = []

    def partition(self, addresses: Iterable[str]) -> None:
        """Separate these members from all others; they still reach one another."""
        self._islands.append(frozenset(addresses))

    def heal(self) -> None:
        """Undo all partitions."""
        self._islands.clear()

    def fates(self, sender: str, to: str, frame: bytes, now: float) -> Sequence[float]:
        """Decide about one frame and one receiver; see `FaultPlan`."""
        # Always four draws, so that a partition does not change the fates of later frames.
        loss, duplicate, *delays = (self._random.random() for _ in range(4))
        if loss < self._loss or any(
            (sender in island) != (to in island) for island in self._islands
        ):
            return _LOST
        copies = 2 if duplicate < self._duplicate else 1
        return [delay * self._delay_s for delay in delays[:copies]]


class _Flight(NamedTuple):
    lands_at: float
    order: int
    link: MemoryLink
    frame: bytes


class MemoryNetwork:
    """Connects memory links: a broadcast reaches all other members, a direct frame one.

    Args:
        latency_s: how long each frame takes, in seconds of the running loop's time.
        faults: the fault plan; with None each frame is delivered once and in order.
    """

    def __init__(
        self, latency_s: float = DEFAULT_LATENCY_S, faults: FaultPlan | None = None
    ) -> None:
        self._latency_s = latency_s
        self._faults = faults
        self._links: dict[str, MemoryLink] = {}
        # Bounded only by the frames that members send within the latency and the delays.
        # asyncio does not keep timers with the same time in order; this heap does.
        self._flights: list[_Flight] = []
        self._sent = 0

    def join(self, address: str, receive: FrameReceiver) -> MemoryLink:
        """Add a member.

        Args:
            address: the address of the member.
            receive: called with each frame that arrives.

        Raises:
            InvalidInput: another member has this address.
        """
        if address in self._links:
            raise InvalidInput(f"the address {address!r} is in use; give each member its own")
        link = self._links[address] = MemoryLink(self, address, receive)
        return link

    def is_member(self, link: MemoryLink) -> bool:
        """Whether a link is still a member."""
        return self._links.get(link.address) is link

    def carry(self, sender: MemoryLink, frame: bytes, to: str | None) -> None:
        """Deliver a frame later; it is silently lost if either end is not a member."""
        if not self.is_member(sender):
            return
        if to is None:
            receivers = [link for link in self._links.values() if link is not sender]
        else:
            receivers = [self._links[to]] if to in self._links else []
        loop = asyncio.get_running_loop()
        now = loop.time()
        for receiver in receivers:
            fates = _ON_TIME
            if self._faults is not None:
                fates = self._faults.fates(sender.address, receiver.address, frame, now)
            for delay_s in fates:
                self._sent += 1
                lands_at = now + self._latency_s + delay_s
                heappush(self._flights, _Flight(lands_at, self._sent, receiver, frame))
                loop.call_at(lands_at, self._land)

    def remove(self, link: MemoryLink) -> None:
        """Remove a member; frames in flight to it are lost."""
        if self.is_member(link):
            del self._links[link.address]

    def _land(self) -> None:
        # Called once for each frame in flight, never before the first one is due.
        flight = heappop(self._flights)
        if self.is_member(flight.link):
            flight.link.receive(flight.frame)


class MemoryLink:
    """A member's link to a `MemoryNetwork`; made by its `join`."""

    one_receiver = False

    def __init__(self, network: MemoryNetwork, address: str, receive: FrameReceiver) -> None:
        self._network = network
        self._address = address
        self.receive = receive

    @property
    def address(self) -> str:
        """The address of this member."""
        return self._address

    async def send(self, frame: bytes, to: str | None = None) -> None:
        """Send a frame to one member by its address, or to all other members."""
        self._network.carry(self, frame, to)

    def leave(self) -> None:
        """Leave the network immediately, without a message, as a killed process does."""
        self._network.remove(self)
