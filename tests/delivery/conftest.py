"""Wires that join two streams, or several mailrooms, in a time of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import heappop, heappush

import pytest
from muster.agents.kernel.delivery.arrival import Arrival
from muster.agents.kernel.delivery.frame_seal import Outgoing
from muster.agents.kernel.delivery.multiplexer import Multiplexer
from muster.agents.kernel.delivery.stream import Stream
from muster.agents.kernel.delivery.stream_limits import DEFAULT_LIMITS, StreamLimits
from muster.messages.frame import ANY_MANAGER, EVERYONE, Segment

LINK_DELAY_S = 0.01
FAIR = (LINK_DELAY_S,)
A_LONG_TIME_S = 100_000.0


class ConnectionPair:
    """Two joined streams, "left" and "right", on a wire with a list of fates.

    Each segment takes the next fate: the delays in seconds of its copies. When the list ends the
    wire is fair.
    """

    def __init__(
        self,
        fates: Iterable[Sequence[float]] = (),
        limits: StreamLimits = DEFAULT_LIMITS,
        room_bytes: int = 65536,
    ) -> None:
        self.now = 0.0
        self.ends = {"left": Stream("c", limits), "right": Stream("c", limits)}
        self.arrived: dict[str, list[bytes]] = {"left": [], "right": []}
        self.sent: list[tuple[float, str, Segment]] = []
        self.most_held = 0
        self._fates: Iterator[Sequence[float]] = iter(fates)
        self._room_bytes = room_bytes
        self._in_transit: list[tuple[float, int, str, Segment]] = []
        self._copies = 0

    @property
    def left(self) -> Stream:
        return self.ends["left"]

    @property
    def right(self) -> Stream:
        return self.ends["right"]

    def sent_by(self, side: str) -> list[tuple[float, Segment]]:
        return [(at, segment) for at, sender, segment in self.sent if sender == side]

    def run(self, until_s: float = A_LONG_TIME_S) -> None:
        """Let time pass until nothing will happen any more, or until the given time."""
        while True:
            self._send_what_is_due()
            moments = [end.due_at for end in self.ends.values()]
            moments += [self._in_transit[0][0]] if self._in_transit else []
            coming = [moment for moment in moments if moment is not None]
            if not coming or min(coming) > until_s:
                break
            self.now = max(self.now, min(coming))
            while self._in_transit and self._in_transit[0][0] <= self.now:
                _, _, side, segment = heappop(self._in_transit)
                self.arrived[side] += self.ends[side].accept(segment, self.now)
        self.now = max(self.now, until_s) if until_s < A_LONG_TIME_S else self.now

    def _send_what_is_due(self) -> None:
        for side, other in (("left", "right"), ("right", "left")):
            end = self.ends[side]
            while (segment := end.collect(self.now, self._room_bytes)) is not None:
                self.sent.append((self.now, side, segment))
                for delay_s in next(self._fates, FAIR):
                    self._copies += 1
                    landing = (self.now + delay_s, self._copies, other, segment)
                    heappush(self._in_transit, landing)
            assert end.due_at is None or end.due_at > self.now
            self.most_held = max(self.most_held, end.unacknowledged, end.held)


class Exchange:
    """Mailrooms on one wire where everyone hears every frame."""

    def __init__(self, rooms: Sequence[Multiplexer], fates: Iterable[Sequence[float]] = ()) -> None:
        self.now = 0.0
        self.rooms = {room.address: room for room in rooms}
        self.arrived: dict[str, list[Arrival]] = {room.address: [] for room in rooms}
        self.sent: list[tuple[float, str, Outgoing]] = []
        self._fates: Iterator[Sequence[float]] = iter(fates)
        self._in_transit: list[tuple[float, int, str, Outgoing]] = []

    def run(self, until_s: float = A_LONG_TIME_S) -> None:
        """Let time pass until nothing will happen any more, or until the given time."""
        while True:
            self._send_what_is_due()
            moments = [room.next_alarm() for room in self.rooms.values()]
            moments += [self._in_transit[0][0]] if self._in_transit else []
            coming = [moment for moment in moments if moment is not None]
            if not coming or min(coming) > until_s:
                break
            self.now = max(self.now, min(coming))
            while self._in_transit and self._in_transit[0][0] <= self.now:
                _, _, sender, outgoing = heappop(self._in_transit)
                self._let_all_hear(sender, outgoing)

    def messages(self, address: str) -> list[bytes]:
        return [each for arrival in self.arrived[address] for each in arrival.messages]

    def _let_all_hear(self, sender: str, outgoing: Outgoing) -> None:
        for address, room in self.rooms.items():
            if address != sender and outgoing.to in (None, address):
                listens_to = frozenset({EVERYONE, ANY_MANAGER} if address == "boss" else {EVERYONE})
                self.arrived[address] += room.receive(outgoing.frame, self.now, listens_to)

    def _send_what_is_due(self) -> None:
        for address, room in self.rooms.items():
            while (outgoing := room.collect(self.now)) is not None:
                self.sent.append((self.now, address, outgoing))
                for delay_s in next(self._fates, FAIR):
                    landing = (self.now + delay_s, len(self.sent), address, outgoing)
                    heappush(self._in_transit, landing)
            alarm = room.next_alarm()
            assert alarm is None or alarm > self.now


@pytest.fixture
def pair() -> ConnectionPair:
    """Two streams on a fair wire."""
    return ConnectionPair()


@pytest.fixture
def make_pair() -> Callable[..., ConnectionPair]:
    """Join two streams by a wire with fates."""
    return ConnectionPair


@pytest.fixture
def make_exchange() -> Callable[..., Exchange]:
    """Join mailrooms by a wire with fates."""
    return Exchange
