"""A network inside one process, for tests and rehearsals; with a fault plan as bad as you like.

In virtual time, with a seeded plan, a run goes the same way every time.
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

_UNHARMED = (0.0,)
_LOST = ()


class FaultPlan(Protocol):
    """Decides what becomes of each frame on its way to each member."""

    def fates(self, sender: str, to: str, frame: bytes, now: float) -> Sequence[float]:
        """Decide about one frame and one receiver.

        Args:
            sender: the address it comes from.
            to: the address it would reach; a broadcast is asked about once for each.
            frame: its bytes.
            now: the loop's time in seconds.

        Returns:
            For each copy that arrives, by how many seconds it is late; none means lost.
        """
        ...


class SeededFaults:
    """Loses, doubles and delays by chance, the same way for the same seed.

    Args:
        seed: where chance begins.
        loss: the share of frames that are lost, 0 to 1.
        duplicate: the share of the others that arrive twice, 0 to 1.
        delay_s: how late a copy may be at most; above 0, frames overtake one another.

    Raises:
        InvalidInput: a share that is none, or a negative delay.
    """

    def __init__(
        self, seed: int, loss: float = 0.0, duplicate: float = 0.0, delay_s: float = 0.0
    ) -> None:
        for name, share in (("loss", loss), ("duplicate", duplicate)):
            if not 0 <= share <= 1:
                raise InvalidInput(f"{name} is {share!r}; give a share from 0 to 1")
        if delay_s < 0:
            raise InvalidInput(f"delay_s is {delay_s!r}; give 0 or more seconds")
        self._random = random.Random(seed)  # noqa: S311  chance that repeats, no secret
        self._loss = loss
        self._duplicate = duplicate
        self._delay_s = delay_s
        self._islands: list[frozenset[str]] = []

    def partition(self, addresses: Iterable[str]) -> None:
        """Cut these members off from all others; they still hear one another."""
        self._islands.append(frozenset(addresses))

    def heal(self) -> None:
        """Undo all partitions."""
        self._islands.clear()

    def fates(self, sender: str, to: str, frame: bytes, now: float) -> Sequence[float]:
        """Decide about one frame and one receiver; see `FaultPlan`."""
        # Always as many draws, so that a partition does not change the fates of later frames.
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
    """Where memory links meet: a broadcast reaches all others, a direct frame one.

    Args:
        latency_s: how long each frame is on its way, in the running loop's time.
        faults: what goes wrong; None is a network that delivers each frame once and in order.
    """

    def __init__(
        self, latency_s: float = DEFAULT_LATENCY_S, faults: FaultPlan | None = None
    ) -> None:
        self._latency_s = latency_s
        self._faults = faults
        self._links: dict[str, MemoryLink] = {}
        # Bounded only by what members send within the latency: a fault plan may need any frame.
        # asyncio does not keep timers of one moment in order; this heap does.
        self._flights: list[_Flight] = []
        self._sent = 0

    def join(self, address: str, receive: FrameReceiver) -> MemoryLink:
        """Become a member.

        Args:
            address: where the member is reached.
            receive: called with each frame that arrives.

        Raises:
            InvalidInput: another member has this address.
        """
        if address in self._links:
            raise InvalidInput(f"the address {address!r} is taken; give each member its own")
        link = self._links[address] = MemoryLink(self, address, receive)
        return link

    def is_member(self, link: MemoryLink) -> bool:
        """Whether a link is still joined."""
        return self._links.get(link.address) is link

    def carry(self, sender: MemoryLink, frame: bytes, to: str | None) -> None:
        """Send a frame on its way; without a word it is lost if either end is no member."""
        if not self.is_member(sender):
            return
        if to is None:
            receivers = [link for link in self._links.values() if link is not sender]
        else:
            receivers = [self._links[to]] if to in self._links else []
        loop = asyncio.get_running_loop()
        now = loop.time()
        for receiver in receivers:
            fates = _UNHARMED
            if self._faults is not None:
                fates = self._faults.fates(sender.address, receiver.address, frame, now)
            for delay_s in fates:
                self._sent += 1
                lands_at = now + self._latency_s + delay_s
                heappush(self._flights, _Flight(lands_at, self._sent, receiver, frame))
                loop.call_at(lands_at, self._land)

    def remove(self, link: MemoryLink) -> None:
        """End a membership; frames on their way to it are lost."""
        if self.is_member(link):
            del self._links[link.address]

    def _land(self) -> None:
        # Called once for each flight, never before the first of them is due.
        flight = heappop(self._flights)
        if self.is_member(flight.link):
            flight.link.receive(flight.frame)


class MemoryLink:
    """A member's way into a `MemoryNetwork`; made by its `join`."""

    def __init__(self, network: MemoryNetwork, address: str, receive: FrameReceiver) -> None:
        self._network = network
        self._address = address
        self.receive = receive

    @property
    def address(self) -> str:
        """Where others reach this member."""
        return self._address

    async def send(self, frame: bytes, to: str | None = None) -> None:
        """Send a frame, to one member by its address or to everyone else."""
        self._network.carry(self, frame, to)

    def leave(self) -> None:
        """Leave the network, at once and without a word, as a killed process does."""
        self._network.remove(self)
