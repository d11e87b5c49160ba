"""Sends and receives one member's messages over a link and direct connections."""

from __future__ import annotations

import asyncio
import math
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias

from pydantic import BaseModel

from ...messages import DecodeError, Flaw, TaskResult, decode_message, encode_message
from ...messages.frame import Section
from ..kernel.delivery.arrival import Arrival, Overhearer
from ..kernel.delivery.multiplexer import Multiplexer
from ..kernel.security.seal import Seal
from ..runtime.clock import now
from ..runtime.log import log
from .direct_connection import DirectConnection
from .link import Link
from .traffic import Traffic

Arrived: TypeAlias = Callable[[str, BaseModel], None]
"""Called with the sender's address and the message; must not block."""

ResultsArrived: TypeAlias = Callable[[str, Sequence[TaskResult]], None]
"""Called with the sender's address and results that arrived together; must not block."""


UNHANDLED = "unhandled"
"""The key that counts messages whose handling raised an exception."""

OVERRUN = "overrun"
"""The key that counts frames that were dropped because the inbox was full."""

MAX_INBOX_BYTES = 64 * 1024 * 1024
"""The maximum size of the frames in the inbox."""


class Endpoint:
    """Drives one member's multiplexer over a link.

    Everything that is due is sent in one frame. While the link is busy, more is collected for the
    next frame; while it is idle, a message is sent at once. Messages for a peer with a direct
    connection are sent over that connection.

    `link_received_at` is the time at which the link last received anything, in seconds.

    Args:
        link: the connection to the workspace.
        listens_to: addresses besides its own that this member receives for.
        arrived: called with each message that arrives.
        results_arrived: called with results that arrive together; by default they arrive one by
            one.
        also: further classes of messages, by qualified name.
        seal: encrypts and decrypts all frames of the link; None leaves them unencrypted.
        before_sending: awaited before anything is sent. Frames that arrive after its start wait
            until everything has been sent: an acknowledgement is never sent before the messages of
            its frame were handled.
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
        self._link = link
        self._seal = seal
        self._multiplexer = Multiplexer(link.address, seal=seal, one_receiver=link.one_receiver)
        self._listens_to = listens_to
        self._arrived = arrived
        self._results_arrived = results_arrived
        self._also = also
        self._before_sending = before_sending
        self._multiplexer.give_up_direct = self._give_up_direct
        # Each frame, and the peer whose direct connection received it.
        self._inbox: deque[tuple[bytes, str | None]] = deque()
        self._inbox_bytes = 0
        self._due = asyncio.Event()
        # Sets `_due` when something will be due.
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._is_over = False
        # Bounded by the admitted peers.
        self._direct_connections: dict[str, DirectConnection] = {}
        # Peers whose direct connections are proved to lead to them, not to another member.
        self._proved: set[str] = set()
        self.link_received_at = now()
        self.heard_other_session: Callable[[], None] = _nothing
        """Called when a frame of another manager's session arrives: another manager may lead."""
        self.dropped: Counter[str] = Counter()
        self.traffic = Traffic()

    def open(self, peer: str, conversation: str) -> None:
        """Open a numbered conversation with a peer; one of the same name is kept."""
        self._multiplexer.open(peer, conversation)

    def take_address(self) -> None:
        """Use the link's new address; only before any conversation was opened."""
        self._multiplexer.address = self._link.address

    def close(self, peer: str) -> None:
        """Close the conversation and the direct connection with a peer, if there are any."""
        self._multiplexer.close(peer)
        if peer in self._direct_connections:
            self._direct_connections[peer].close()

    def post(self, peer: str, message: BaseModel) -> None:
        """Send a message in the conversation with a peer: it arrives once, and in order.

        Raises:
            EncodeError: msgpack can't encode it.
        """
        self.post_encoded(peer, encode_message(message))

    def post_encoded(self, peer: str, *messages: bytes) -> int:
        """Send encoded messages as `post` does; return the number of the last one, from 0."""
        self._due.set()
        return self._multiplexer.post(peer, *messages)

    def post_datagram(self, to: str, message: BaseModel, *, also_direct: bool = False) -> None:
        """Send a message that may get lost, to one address or to everyone; see `Multiplexer`."""
        self._multiplexer.post_datagram(to, encode_message(message), also_direct=also_direct)
        self._due.set()

    @property
    def refusal(self) -> str | None:
        """Why the manager refuses this member, as far as its seal knows; None if it does not."""
        return None if self._seal is None else self._seal.refusal

    def acknowledged(self, peer: str) -> int:
        """The number of the first message posted to a peer that was not acknowledged, or 0."""
        stream = self._multiplexer.find(peer)
        return 0 if stream is None else stream.acknowledged

    def last_received_at(self, peer: str) -> float | None:
        """When something of the conversation with a peer last arrived; None if nothing has."""
        stream = self._multiplexer.find(peer)
        return None if stream is None else stream.last_received_at

    # ------------------------------------------------------------------ direct connections

    def accepts_direct(self, peer: str, public_key: bytes) -> bool:
        """Whether a peer may open a direct connection: unless the key is another member's."""
        return self._seal is None or self._seal.owns(peer, public_key) is not False

    def attach(self, peer: str, connection: DirectConnection) -> None:
        """Use a direct connection to a peer once it has received something; close a former one."""
        former = self._direct_connections.get(peer)
        if former is not None:
            former.close()
        self._direct_connections[peer] = connection

    def detach(self, peer: str, connection: DirectConnection) -> None:
        """Stop using a direct connection; unacknowledged messages are sent over the link again."""
        if self._direct_connections.get(peer) is connection:
            del self._direct_connections[peer]
            self._proved.discard(peer)
            self._multiplexer.distrust_direct(peer)
            self._due.set()

    def receive_direct(self, peer: str, frame: bytes) -> None:
        """Receive a frame of a direct connection; an empty one only shows that it works."""
        if peer not in self._proved and not self._prove(peer):
            return
        self._multiplexer.trust_direct(peer)
        if frame:
            self._receive(frame, peer, now())

    def probe_link(self) -> float | None:
        """Measure the link's round trip; see `ConnectionHolder`."""
        round_trip_s = None if self._seal is None else self._seal.probe(now())
        self._due.set()
        return round_trip_s

    def _prove(self, peer: str) -> bool:
        connection = self._direct_connections.get(peer)
        if connection is None:
            return False
        verdict = self._seal is None or self._seal.owns(peer, connection.public_key)
        if verdict is False:
            connection.give_up("it leads to another member than its address says")
        elif verdict:
            self._proved.add(peer)
        return bool(verdict)

    def _give_up_direct(self, peer: str) -> None:
        connection = self._direct_connections.get(peer)
        if connection is not None:
            connection.give_up("a message on it was not acknowledged in time")

    def close_direct_connections(self) -> None:
        """Close all direct connections."""
        for connection in tuple(self._direct_connections.values()):
            connection.close()

    # ------------------------------------------------------------------ frames

    def pass_on_to(self, overhear: Overhearer) -> None:
        """Set the function that is called with letters between other members of this workspace."""
        self._multiplexer.overhear = overhear

    def relay(self, sender: str, section: Section) -> None:
        """Relay a letter from another workspace in its sender's name; it may get lost."""
        self._multiplexer.relay(sender, section)
        self._due.set()

    def wake(self) -> None:
        """Send what is due, although nothing was posted or received."""
        self._due.set()

    def receive(self, frame: bytes) -> None:
        """Receive a frame. An unreadable one is counted, logged once per kind, and dropped."""
        at = self.link_received_at = now()
        self._receive(frame, None, at)

    def _receive(self, frame: bytes, from_direct: str | None, at: float) -> None:
        self.traffic.frames_received += 1
        self.traffic.received_bytes += len(frame)
        if self._before_sending is None:
            self._handle_frame(frame, from_direct, at)
            return
        if self._inbox_bytes + len(frame) > MAX_INBOX_BYTES:
            # Its sender will send it again.
            self.dropped[OVERRUN] += 1
            return
        self._inbox.append((frame, from_direct))
        self._inbox_bytes += len(frame)
        self._due.set()

    def _handle_frame(self, frame: bytes, from_direct: str | None, at: float) -> None:
        try:
            arrivals = self._multiplexer.receive(
                frame, at, self._listens_to, from_direct=from_direct
            )
        except DecodeError as fault:
            self._drop(fault.flaw, fault.detail)
            if fault.flaw is Flaw.STALE_SESSION:
                self.heard_other_session()
            # The seal may have to answer it.
            self._due.set()
            return
        results: list[TaskResult] = []
        sender = ""
        for arrival in arrivals:
            for encoded in arrival.messages:
                message = self._decode(encoded, arrival)
                if message is None:
                    continue
                if results and (arrival.sender != sender or type(message) is not TaskResult):
                    self._deliver_results(sender, results)
                    results = []
                sender = arrival.sender
                if self._results_arrived is not None and type(message) is TaskResult:
                    results.append(message)
                else:
                    self._deliver(sender, message)
        if results:
            self._deliver_results(sender, results)
        # Mostly only an acknowledgement, which waits for messages to carry it.
        self._wake_when(self._multiplexer.next_alarm())

    def _decode(self, encoded: bytes, arrival: Arrival) -> BaseModel | None:
        """Decode a message; None if it is unreadable, or if its sender may not send it."""
        try:
            message = decode_message(encoded, self._also)
        except DecodeError as fault:
            self._drop(fault.flaw, f"{fault.detail} (from {arrival.sender[:80]})")
            return None
        if not arrival.is_managers and type(message) not in self._also.values():
            self._drop(
                Flaw.FORGED_SENDER,
                f"a {type(message).__name__}, which only a manager may send, from "
                f"{arrival.sender[:80]!r}",
            )
            return None
        return message

    def end(self) -> None:
        """Make `run` return after its current step: it must not be interrupted while it writes."""
        self._is_over = True
        self._due.set()

    async def run(self) -> None:
        """Send what is due, until `end` is called."""
        try:
            await self._run()
        finally:
            self._set_timer(None)

    async def _run(self) -> None:
        while not self._is_over:
            self._due.clear()
            if self._before_sending is not None:
                self.empty_inbox()
                await self._before_sending()
            at = now()
            outgoing = self._multiplexer.collect(at)
            alarm = self._multiplexer.next_alarm_at
            # Before anything is awaited: what arrives meanwhile may be due sooner.
            self._set_timer(alarm)
            if outgoing is not None:
                connection = self._direct_connections.get(outgoing.to or "")
                if connection is not None:
                    # Even if it is not used now, this shows the other end that it works.
                    connection.send(outgoing.frame if outgoing.is_direct else b"")
                if not outgoing.is_direct:
                    # If the direct connection has just ended, the link sent these messages too.
                    await self._link.send(outgoing.frame, outgoing.to)
                self.traffic.frames_sent += 1
                self.traffic.sent_bytes += len(outgoing.frame)
                if self._multiplexer.pacing.delay_s > 0 and not self._link.one_receiver:
                    # What becomes due during the delay shares a frame. A frame for one receiver
                    # carries nothing of the others, which would wait for it.
                    await asyncio.sleep(self._multiplexer.pacing.delay_s)
            if alarm == -math.inf:
                # A slow link always has more to send; arriving frames are handled in between.
                continue
            await self._due.wait()

    def _wake_when(self, alarm: float | None) -> None:
        """Send what will be due at a time, in seconds, unless that is looked at sooner anyway."""
        if alarm == -math.inf:
            self._due.set()
        elif alarm is not None and alarm < self._timer_at:
            self._set_timer(alarm)

    def _set_timer(self, alarm: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._timer_at = None, math.inf
        if alarm is not None and alarm != -math.inf:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(alarm - now(), self._due.set)
            self._timer_at = alarm

    def empty_inbox(self) -> None:
        """Handle the frames in the inbox."""
        if not self._inbox:
            return
        at = now()
        for _ in range(len(self._inbox)):
            frame, from_direct = self._inbox.popleft()
            self._inbox_bytes -= len(frame)
            self._handle_frame(frame, from_direct, at)

    async def settle(self, timeout_s: float) -> bool:
        """Wait until everything posted was acknowledged; return False after the timeout."""
        deadline = now() + timeout_s
        while self._multiplexer.has_unsettled():
            if now() >= deadline:
                return False
            await asyncio.sleep(_SETTLE_STEP_S)
        return True

    def _deliver(self, sender: str, message: BaseModel) -> None:
        try:
            self._arrived(sender, message)
        except Exception:  # noqa: BLE001 - no message may end the endpoint
            self.dropped[UNHANDLED] += 1
            log.exception("handling a message failed", kind=type(message).__name__)

    def _deliver_results(self, sender: str, results: Sequence[TaskResult]) -> None:
        assert self._results_arrived is not None
        try:
            self._results_arrived(sender, results)
        except Exception:  # noqa: BLE001 - no message may end the endpoint
            self.dropped[UNHANDLED] += len(results)
            log.exception("handling results failed", count=len(results))

    def _drop(self, flaw: Flaw, detail: str) -> None:
        self.dropped[flaw.value] += 1
        if self.dropped[flaw.value] == 1:
            tell = log.debug if flaw.is_usual else log.warning
            tell("dropped an unreadable frame or message", flaw=flaw.value, detail=detail)


def _nothing() -> None:
    """Do nothing: nobody waits for another manager."""


_SETTLE_STEP_S = 0.01
