"""One endpoint for each lane of a manager, with the interface of a single one.

A sender does not need to know a worker's lane: it is the lane where the worker was last seen.
Messages between workers are relayed from lane to lane.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from pydantic import BaseModel

from ...messages import DecodeError, Flaw, TaskResult, UnknownPeer, decode_message
from ...messages.frame import EVERYONE, Datagram, Section, decode_letter
from ..kernel.model.workspace_names import FIRST_LANE
from ..kernel.security.address_claims import CLAIM_KEPT_S
from ..kernel.security.seal import Seal
from ..runtime.clock import now
from ..runtime.log import log
from .connection_limits import affordable
from .direct_connection import DirectConnection
from .endpoint import Arrived, Endpoint, ResultsArrived
from .link import Link
from .traffic import Traffic, sum_up

MAX_EARLY_CONNECTIONS = 256
EARLY_CONNECTION_TIMEOUT_S = 15.0
"""How many direct connections of workers that were not admitted yet are kept, and for how long in
seconds; fewer where the process may open only few files."""

_MAX_HEARD = 20_000
"""For how many addresses the lane where they were last seen is kept."""


@dataclass(slots=True)
class _EarlyConnection:
    """The direct connection of a worker that was not admitted yet.

    Args:
        connection: the connection.
        expiry: closes it after a timeout.
        has_spoken: whether it has received anything: nothing may be sent on it before.
    """

    connection: DirectConnection
    expiry: asyncio.TimerHandle
    has_spoken: bool = False


class LaneRouter:
    """Drives the endpoints of all lanes; see `Endpoint`.

    `before_sending` is awaited once for all lanes: after it, any lane may send what is due. So no
    lane sends, or acknowledges, anything that follows from another lane's message before that
    message was handled.

    Args:
        link: the link of lane 0.
        listens_to: addresses besides its own that this member receives for.
        arrived: called with each message that arrives, on any lane.
        results_arrived: called with results that arrive together; by default they arrive one by
            one.
        also: further classes of messages, by qualified name.
        seal: encrypts and decrypts all frames of lane 0; None leaves them unencrypted.
        before_sending: awaited before anything is sent, by one lane at a time; see `Endpoint`.
    """

    def __init__(
        self,
        link: Link,
        *,
        listens_to: frozenset[str],
        arrived: Arrived,
        also: Mapping[str, type[BaseModel]],
        results_arrived: ResultsArrived | None = None,
        seal: Seal | None = None,
        before_sending: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._listens_to = listens_to
        self._arrived = arrived
        self._results_arrived = results_arrived
        self._also = also
        self._before_sending = before_sending
        self._turn = asyncio.Lock()
        self._failure: Exception | None = None
        self._woken = asyncio.Event()
        self._lanes: dict[int, Endpoint] = {}
        # The lanes of admitted peers, and of those that were seen and may be admitted.
        self._lane_of: dict[str, int] = {}
        self._last_lane_of: OrderedDict[str, int] = OrderedDict()
        self._early_connections: dict[str, _EarlyConnection] = {}
        self._running: dict[int, asyncio.Future[None]] = {}
        self._added = asyncio.Event()
        # Removed lanes still count.
        self._dropped_elsewhere: Counter[str] = Counter()
        self._carried_before = Traffic()
        self.add(FIRST_LANE, link, seal)

    # ------------------------------------------------------------------ lanes

    def add(self, lane: int, link: Link, seal: Seal | None) -> Endpoint:
        """Add a lane.

        Args:
            lane: its number.
            link: the link to its workspace.
            seal: the seal of its frames. Each lane has its own, since each lane is a workspace.

        Returns:
            The endpoint of the lane.
        """
        endpoint = self._lanes[lane] = Endpoint(
            link,
            listens_to=self._listens_to,
            arrived=partial(self._take, lane),
            results_arrived=None
            if self._results_arrived is None
            else partial(self._take_results, lane),
            also=self._also,
            seal=seal,
            before_sending=None if self._before_sending is None else self._in_turn,
        )
        endpoint.pass_on_to(partial(self._pass_on, lane))
        self._added.set()
        return endpoint

    def remove(self, lane: int) -> None:
        """Remove a closed lane; workers that are still in it are dropped."""
        endpoint = self._lanes.pop(lane, None)
        if endpoint is None:
            return
        for peer in [peer for peer, of in self._lane_of.items() if of == lane]:
            del self._lane_of[peer]
            endpoint.close(peer)
        for peer in [peer for peer, on in self._last_lane_of.items() if on == lane]:
            del self._last_lane_of[peer]
        endpoint.close_direct_connections()
        self._dropped_elsewhere.update(endpoint.dropped)
        self._carried_before = sum_up((self._carried_before, endpoint.traffic))
        self._running.pop(lane, None)
        endpoint.end()

    def lane_of(self, peer: str) -> int:
        """The lane of an admitted peer, or the lane where it was last seen; otherwise lane 0."""
        lane = self._lane_of.get(peer)
        return self._last_lane_of.get(peer, FIRST_LANE) if lane is None else lane

    def count(self, flaw: Flaw, detail: str) -> None:
        """Count something unreadable that did not reach any lane; see `Endpoint`."""
        self._dropped_elsewhere[flaw.value] += 1
        if self._dropped_elsewhere[flaw.value] == 1:
            log.warning("dropped an unreadable frame or message", flaw=flaw.value, detail=detail)

    # ------------------------------------------------------------------ as an endpoint

    @property
    def dropped(self) -> Counter[str]:
        """How many frames and messages were dropped on all lanes, by flaw."""
        total = Counter(self._dropped_elsewhere)
        for endpoint in self._lanes.values():
            total.update(endpoint.dropped)
        return total

    @property
    def traffic(self) -> Traffic:
        """The traffic of all lanes."""
        carried = (endpoint.traffic for endpoint in self._lanes.values())
        return sum_up((self._carried_before, *carried))

    @property
    def refusal(self) -> str | None:
        """Why this member is refused; see `Endpoint`."""
        return self._lanes[FIRST_LANE].refusal

    def take_address(self) -> None:
        """Use the new address of the link of lane 0; only before any conversation was opened."""
        self._lanes[FIRST_LANE].take_address()

    def open(self, peer: str, conversation: str) -> None:
        """Open a numbered conversation with a peer, on the lane where it was last seen."""
        lane = self.lane_of(peer)
        self._lane_of[peer] = lane
        self._lanes[lane].open(peer, conversation)
        early = self._early_connections.pop(peer, None)
        if early is not None:
            early.expiry.cancel()
            self._lanes[lane].attach(peer, early.connection)
            if not self._lanes[lane].accepts_direct(peer, early.connection.public_key):
                early.connection.give_up("it leads to another member than the admitted one")
            elif early.has_spoken:
                self._lanes[lane].receive_direct(peer, b"")

    def close(self, peer: str) -> None:
        """Close the conversation with a peer, if there is one."""
        lane = self._lane_of.pop(peer, None)
        if lane is not None:
            self._lanes[lane].close(peer)

    def post(self, peer: str, message: BaseModel) -> None:
        """Send a message in the conversation with a peer; see `Endpoint`."""
        self._with(peer).post(peer, message)

    def post_encoded(self, peer: str, *messages: bytes) -> int:
        """Send encoded messages as `post` does; return the number of the last one, from 0."""
        return self._with(peer).post_encoded(peer, *messages)

    def post_datagram(self, to: str, message: BaseModel, *, also_direct: bool = False) -> None:
        """Send a message that may get lost, to one address or to everyone on all lanes."""
        if to == EVERYONE:
            for endpoint in self._lanes.values():
                endpoint.post_datagram(to, message)
        else:
            lane = self._lanes[self.lane_of(to)]
            lane.post_datagram(to, message, also_direct=also_direct)

    def acknowledged(self, peer: str) -> int:
        """The number of the first message posted to a peer that was not acknowledged, or 0."""
        lane = self._lane_of.get(peer)
        return 0 if lane is None else self._lanes[lane].acknowledged(peer)

    def last_received_at(self, peer: str) -> float | None:
        """When something of the conversation with a peer last arrived; None if nothing has."""
        lane = self._lane_of.get(peer)
        return None if lane is None else self._lanes[lane].last_received_at(peer)

    def wake(self) -> None:
        """Send what is due, although nothing was posted or received."""
        if self._before_sending is None:
            for endpoint in self._lanes.values():
                endpoint.wake()
        else:
            # The lanes that have to send something are woken by that.
            self._woken.set()

    def accepts_direct(self, peer: str, public_key: bytes) -> bool:
        """Whether a peer may open a direct connection: admitted peers may, and a few others."""
        lane = self._lane_of.get(peer)
        if lane is not None:
            return self._lanes[lane].accepts_direct(peer, public_key)
        return len(self._early_connections) < affordable(MAX_EARLY_CONNECTIONS)

    def attach(self, peer: str, connection: DirectConnection) -> None:
        """Use a direct connection to a peer as soon as the peer is admitted; see `Endpoint`."""
        if peer in self._lane_of:
            self._with(peer).attach(peer, connection)
            return
        if peer in self._early_connections:
            self._early_connections[peer].connection.close()
        expiry = asyncio.get_running_loop().call_later(EARLY_CONNECTION_TIMEOUT_S, connection.close)
        self._early_connections[peer] = _EarlyConnection(connection, expiry)

    def detach(self, peer: str, connection: DirectConnection) -> None:
        """Stop using a direct connection, whose peer may already be gone."""
        early = self._early_connections.get(peer)
        if early is not None and early.connection is connection:
            early.expiry.cancel()
            del self._early_connections[peer]
        for endpoint in self._lanes.values():
            endpoint.detach(peer, connection)

    def receive_direct(self, peer: str, frame: bytes) -> None:
        """Receive a frame of a direct connection."""
        lane = self._lane_of.get(peer)
        if lane is not None:
            self._lanes[lane].receive_direct(peer, frame)
        elif peer in self._early_connections:
            self._early_connections[peer].has_spoken = True

    def probe_link(self) -> float | None:
        """None: a manager requests no direct connections, so it compares none with the link."""

    def close_direct_connections(self) -> None:
        """Close all direct connections."""
        for early in tuple(self._early_connections.values()):
            early.connection.close()
        for endpoint in self._lanes.values():
            endpoint.close_direct_connections()

    def receive(self, frame: bytes) -> None:
        """Receive a frame of lane 0."""
        self._lanes[FIRST_LANE].receive(frame)

    def empty_inbox(self) -> None:
        """Handle the frames in the inboxes of all lanes."""
        for endpoint in self._lanes.values():
            endpoint.empty_inbox()

    async def run(self) -> None:
        """Send what is due on every lane, until cancelled."""
        working = asyncio.ensure_future(self._heed_wakes())
        try:
            while True:
                self._added.clear()
                for lane, endpoint in self._lanes.items():
                    if lane not in self._running:
                        self._running[lane] = asyncio.ensure_future(endpoint.run())
                added = asyncio.ensure_future(self._added.wait())
                everything = [added, working, *self._running.values()]
                try:
                    done, _ = await asyncio.wait(everything, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    added.cancel()
                # The futures of removed lanes have ended as they should.
                for future in done & {working, *self._running.values()}:
                    future.result()
        finally:
            ending = [working, *self._running.values()]
            for future in ending:
                future.cancel()
            await asyncio.gather(*ending, return_exceptions=True)

    async def settle(self, timeout_s: float) -> bool:
        """Wait until everything posted was acknowledged; return False after the timeout."""
        settled = await asyncio.gather(
            *(endpoint.settle(timeout_s) for endpoint in self._lanes.values())
        )
        return all(settled)

    # ------------------------------------------------------------------ within

    def _with(self, peer: str) -> Endpoint:
        lane = self._lane_of.get(peer)
        if lane is None:
            raise UnknownPeer(peer)
        return self._lanes[lane]

    def _take(self, lane: int, sender: str, message: BaseModel) -> None:
        if not self._may_speak(lane, sender):
            return
        if sender not in self._lane_of:
            self._last_lane_of[sender] = lane
            self._last_lane_of.move_to_end(sender)
            if len(self._last_lane_of) > _MAX_HEARD:
                self._last_lane_of.popitem(last=False)
        self._arrived(sender, message)

    def _take_results(self, lane: int, sender: str, results: Sequence[TaskResult]) -> None:
        assert self._results_arrived is not None
        if self._may_speak(lane, sender):
            self._results_arrived(sender, results)

    def _may_speak(self, lane: int, sender: str) -> bool:
        """Whether a message that arrived on a lane is accepted.

        Each lane checks that its members use their own addresses, but knows nothing about other
        lanes.
        """
        if lane not in self._lanes:
            # The lane was removed, and its agent has not ended yet.
            return False
        own = self._lane_of.get(sender)
        if own is None or own == lane:
            return True
        last_received_at = self._lanes[own].last_received_at(sender)
        if last_received_at is not None and now() - last_received_at >= CLAIM_KEPT_S:
            # The worker may have returned on another lane.
            return True
        self.count(
            Flaw.FORGED_SENDER,
            f"a message on lane {lane} from the address {sender[:80]!r}, which is on lane {own}",
        )
        return False

    def _pass_on(self, lane: int, sender: str, section: Section) -> None:
        """Relay a worker's message to workers of other lanes."""
        if self._lane_of.get(sender) != lane:
            return
        if section.to == EVERYONE:
            others = [other for other in self._lanes if other != lane]
        else:
            others = [self._lane_of.get(section.to, lane)]
            if others == [lane]:
                # It is for this lane, or for an address that no worker has any more.
                return
        if others and not _is_of_members(section.letter):
            # On the other lane it would arrive in the manager's frame, and be obeyed.
            self.count(
                Flaw.FORGED_SENDER,
                f"a message to members, which only a manager may send, from {sender[:80]!r}",
            )
            return
        for other in others:
            self._lanes[other].relay(sender, section)

    async def _in_turn(self) -> None:
        assert self._before_sending is not None
        # A lane with nothing left to do must still wait until another lane has done it.
        async with self._turn:
            # Handle all messages before any worker is judged to be silent.
            if self._failure is not None:
                # No other lane may send what could not be stored.
                raise self._failure
            self.empty_inbox()
            try:
                await self._before_sending()
            except Exception as fault:
                self._failure = fault
                raise

    async def _heed_wakes(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            if self._before_sending is not None:
                await self._in_turn()


def _is_of_members(letter: bytes) -> bool:
    """Whether a letter holds only users' own messages, and results."""
    try:
        read = decode_letter(letter)
    except DecodeError:
        return False
    return isinstance(read, Datagram) and all(map(_may_be_members, read.messages))


def _may_be_members(message: bytes) -> bool:
    try:
        return isinstance(decode_message(message), TaskResult)
    except DecodeError as fault:
        return fault.flaw is Flaw.UNKNOWN_KIND
