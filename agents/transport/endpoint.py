"""Carries letters between a mailroom, a link and wires, and counts what cannot be read."""

from __future__ import annotations

import asyncio
import math
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias

from pydantic import BaseModel

from ...messages import DecodeError, Flaw, TaskResult, decode_message, encode_message
from ...messages.frame import Section
from ..kernel.delivery.arrival import Overhearer
from ..kernel.delivery.multiplexer import Multiplexer
from ..kernel.security.seal import Seal
from ..runtime.clock import now
from ..runtime.log import log
from .direct_connection import DirectConnection
from .link import Link
from .traffic import Traffic

Arrived: TypeAlias = Callable[[str, BaseModel], None]
"""Called with the sender's address and the message; must not wait."""

ResultsArrived: TypeAlias = Callable[[str, Sequence[TaskResult]], None]
"""Called with the sender's address and results that came together; must not wait."""


UNHANDLED = "unhandled"
"""The key under which messages are counted that were understood but could not be dealt with."""

OVERRUN = "overrun"
"""The key under which frames are counted for which there was no room."""

MAX_INBOX_BYTES = 64 * 1024 * 1024
"""How much may wait to be taken in."""


class Endpoint:
    """Drives one member's mailroom over a link.

    Everything that is due leaves in one frame; while the link is busy more gathers for the next,
    and when it is idle a message leaves at once. What is for a peer to whom a wire leads goes by
    that.

    `link_heard_at` tells when anything last came by the link, in seconds.

    Args:
        link: the way into the workspace.
        listens_to: addresses besides its own that this member answers to.
        arrived: takes each message that arrives.
        results_arrived: takes results that arrive together; by default they are taken one by one.
        also: further classes of message, by qualified name.
        seal: what all frames pass through on their way out and in; None lets them pass as they are.
        before_sending: awaited before anything leaves. Frames that arrive from its begin until all
            has left wait: an acknowledgement never leaves before what came with the frame was
            dealt with.
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
        self._multiplexer = Multiplexer(link.address, seal=seal)
        self._listens_to = listens_to
        self._arrived = arrived
        self._results_arrived = results_arrived
        self._also = also
        self._before_sending = before_sending
        self._multiplexer.give_up_wire = self._give_up_wire
        # Each frame, and the peer at the other end of the wire by which it came.
        self._inbox: deque[tuple[bytes, str | None]] = deque()
        self._inbox_bytes = 0
        self._due = asyncio.Event()
        self._is_over = False
        # Bounded by the peers that were let in.
        self._wires: dict[str, DirectConnection] = {}
        # Those whose wires are known to lead to them, and not to another member.
        self._proved: set[str] = set()
        self.link_heard_at = now()
        self.dropped: Counter[str] = Counter()
        self.traffic = Traffic()

    def open(self, peer: str, conversation: str) -> None:
        """Begin a numbered conversation with a peer; one of the same name goes on."""
        self._multiplexer.open(peer, conversation)

    def take_address(self) -> None:
        """Go by the link's address anew; only while nobody has been talked to."""
        self._multiplexer.address = self._link.address

    def close(self, peer: str) -> None:
        """End the conversation with a peer, and its wire, if there are any."""
        self._multiplexer.close(peer)
        if peer in self._wires:
            self._wires[peer].close()

    def post(self, peer: str, message: BaseModel) -> None:
        """Send a message in the conversation with a peer: it arrives once, and in order.

        Raises:
            EncodeError: it holds what msgpack can't carry.
        """
        self.post_encoded(peer, encode_message(message))

    def post_encoded(self, peer: str, message: bytes) -> int:
        """Send an encoded message, as `post` does; its number in the conversation, from 0."""
        number = self._multiplexer.post(peer, message)
        self._due.set()
        return number

    def post_loose(self, to: str, message: BaseModel, *, also_by_wire: bool = False) -> None:
        """Send a message that may get lost, to an address or to everyone; see `Multiplexer`."""
        self._multiplexer.post_loose(to, encode_message(message), also_by_wire=also_by_wire)
        self._due.set()

    @property
    def refusal(self) -> str | None:
        """Why this member can't get in, as far as its seal can tell; None if it may."""
        return None if self._seal is None else self._seal.refusal

    def acknowledged(self, peer: str) -> int:
        """The number of the first message posted to a peer that has not arrived; 0 if unknown."""
        stream = self._multiplexer.find(peer)
        return 0 if stream is None else stream.acknowledged

    def heard_at(self, peer: str) -> float | None:
        """When something of the conversation with a peer last arrived; None if nothing has."""
        stream = self._multiplexer.find(peer)
        return None if stream is None else stream.heard_at

    # ------------------------------------------------------------------ wires

    def expects_wire(self, peer: str, public_key: bytes) -> bool:
        """Whether a peer may have a wire: any may that was asked for one, unless it is another."""
        return self._seal is None or self._seal.owns(peer, public_key) is not False

    def attach(self, peer: str, wire: DirectConnection) -> None:
        """Use a wire to a peer as soon as something has come by it; a former one is closed."""
        former = self._wires.get(peer)
        if former is not None:
            former.close()
        self._wires[peer] = wire

    def detach(self, peer: str, wire: DirectConnection) -> None:
        """Use a wire no more; what was sent by it and not acknowledged goes by the link."""
        if self._wires.get(peer) is wire:
            del self._wires[peer]
            self._proved.discard(peer)
            self._multiplexer.distrust_wire(peer)
            self._due.set()

    def receive_by_wire(self, peer: str, frame: bytes) -> None:
        """Take in a frame that came by the wire to a peer; an empty one says that it works."""
        if peer not in self._proved and not self._prove(peer):
            return
        self._multiplexer.trust_wire(peer)
        if frame:
            self._receive(frame, peer, now())

    def probe_link(self) -> float | None:
        """Measure the link; see `ConnectionHolder`."""
        round_trip_s = None if self._seal is None else self._seal.probe(now())
        self._due.set()
        return round_trip_s

    def _prove(self, peer: str) -> bool:
        wire = self._wires.get(peer)
        if wire is None:
            return False
        verdict = self._seal is None or self._seal.owns(peer, wire.public_key)
        if verdict is False:
            wire.give_up("it leads to another member than the one whose address it bears")
        elif verdict:
            self._proved.add(peer)
        return bool(verdict)

    def _give_up_wire(self, peer: str) -> None:
        wire = self._wires.get(peer)
        if wire is not None:
            wire.give_up("what went by it was not answered in time")

    def close_wires(self) -> None:
        """End all wires."""
        for wire in tuple(self._wires.values()):
            wire.close()

    # ------------------------------------------------------------------ frames

    def pass_on_to(self, overhear: Overhearer) -> None:
        """Have a function called with what members of this workspace say to one another."""
        self._multiplexer.overhear = overhear

    def relay(self, sender: str, section: Section) -> None:
        """Pass on, in its sender's name, what was said in another workspace; it may get lost."""
        self._multiplexer.relay(sender, section)
        self._due.set()

    def wake(self) -> None:
        """Have what is due leave, although nothing was posted or received."""
        self._due.set()

    def receive(self, frame: bytes) -> None:
        """Take in a frame; what can't be read is counted, told of once a kind, and dropped."""
        at = self.link_heard_at = now()
        self._receive(frame, None, at)

    def _receive(self, frame: bytes, by_wire_of: str | None, at: float) -> None:
        self.traffic.frames_received += 1
        self.traffic.received_bytes += len(frame)
        if self._before_sending is None:
            self._take_in(frame, by_wire_of, at)
            return
        if self._inbox_bytes + len(frame) > MAX_INBOX_BYTES:
            # Whoever sent it sends it again.
            self.dropped[OVERRUN] += 1
            return
        self._inbox.append((frame, by_wire_of))
        self._inbox_bytes += len(frame)
        self._due.set()

    def _take_in(self, frame: bytes, by_wire_of: str | None, at: float) -> None:
        try:
            arrivals = self._multiplexer.receive(frame, at, self._listens_to, by_wire_of=by_wire_of)
        except DecodeError as fault:
            self._drop(fault.flaw, fault.detail)
            # The seal may have an answer to it.
            self._due.set()
            return
        results: list[TaskResult] = []
        sender = ""
        for arrival in arrivals:
            try:
                message = decode_message(arrival.message, self._also)
            except DecodeError as fault:
                self._drop(fault.flaw, f"{fault.detail} (from {arrival.sender[:80]})")
                continue
            if not arrival.is_managers and type(message) not in self._also.values():
                self._drop(
                    Flaw.FORGED_SENDER,
                    f"a {type(message).__name__}, which only a manager may send, from "
                    f"{arrival.sender[:80]!r}",
                )
                continue
            if results and (arrival.sender != sender or type(message) is not TaskResult):
                self._hand_over_results(sender, results)
                results = []
            sender = arrival.sender
            if self._results_arrived is not None and type(message) is TaskResult:
                results.append(message)
            else:
                self._hand_over(sender, message)
        if results:
            self._hand_over_results(sender, results)
        self._due.set()

    def end(self) -> None:
        """Let `run` return when what it does is done: it must not be cut off while it writes."""
        self._is_over = True
        self._due.set()

    async def run(self) -> None:
        """Send what is due, until it is to end."""
        loop = asyncio.get_running_loop()
        while not self._is_over:
            self._due.clear()
            if self._before_sending is not None:
                self.empty_inbox()
                await self._before_sending()
            at, loop_at = now(), loop.time()
            outgoing = self._multiplexer.collect(at)
            alarm = self._multiplexer.next_alarm_at
            if outgoing is not None:
                wire = self._wires.get(outgoing.to or "")
                if wire is not None:
                    # If it is not used, whoever is at its other end may learn that it works.
                    wire.send(outgoing.frame if outgoing.by_wire else b"")
                if not outgoing.by_wire:
                    # What was to go by a wire that has ended meanwhile went by the link as well.
                    await self._link.send(outgoing.frame, outgoing.to)
                self.traffic.frames_sent += 1
                self.traffic.sent_bytes += len(outgoing.frame)
                if self._multiplexer.pacing.delay_s > 0:
                    # What becomes due meanwhile shares a frame.
                    await asyncio.sleep(self._multiplexer.pacing.delay_s)
            if alarm == -math.inf:
                # A slow link always has more to send; what arrives has its turn in between.
                continue
            timer = None if alarm is None else loop.call_at(loop_at + (alarm - at), self._due.set)
            try:
                await self._due.wait()
            finally:
                if timer is not None:
                    timer.cancel()

    def empty_inbox(self) -> None:
        """Take in the frames that wait."""
        if not self._inbox:
            return
        at = now()
        for _ in range(len(self._inbox)):
            frame, by_wire_of = self._inbox.popleft()
            self._inbox_bytes -= len(frame)
            self._take_in(frame, by_wire_of, at)

    async def settle(self, patience_s: float) -> bool:
        """Wait until everything posted has been acknowledged; False if that takes too long."""
        deadline = now() + patience_s
        while self._multiplexer.has_unsettled():
            if now() >= deadline:
                return False
            await asyncio.sleep(_SETTLE_STEP_S)
        return True

    def _hand_over(self, sender: str, message: BaseModel) -> None:
        try:
            self._arrived(sender, message)
        except Exception:  # noqa: BLE001 - whatever a peer sends, the link must live on
            self.dropped[UNHANDLED] += 1
            log.exception("a message could not be handled", kind=type(message).__name__)

    def _hand_over_results(self, sender: str, results: Sequence[TaskResult]) -> None:
        assert self._results_arrived is not None
        try:
            self._results_arrived(sender, results)
        except Exception:  # noqa: BLE001 - whatever a peer sends, the link must live on
            self.dropped[UNHANDLED] += len(results)
            log.exception("results could not be handled", count=len(results))

    def _drop(self, flaw: Flaw, detail: str) -> None:
        self.dropped[flaw.value] += 1
        if self.dropped[flaw.value] == 1:
            tell = log.debug if flaw.is_usual else log.warning
            tell("dropped what could not be read", flaw=flaw.value, detail=detail)


_SETTLE_STEP_S = 0.01
