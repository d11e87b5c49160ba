"""Shares frames between all conversations of one member.

On a link where every member receives every frame, one frame for ten members costs as much as a
frame for one, so everything that is due is sent together.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any

from ....messages import DecodeError, Flaw, UnknownPeer
from ....messages.frame import (
    ANY_MANAGER,
    COMPRESS_ABOVE_BYTES,
    EVERYONE,
    Datagram,
    Frame,
    Section,
    decode_frame,
    decode_letter,
    encode_frame,
    encode_letter,
    is_segment,
)
from .arrival import Arrival, Overhearer
from .datagram_queue import DatagramQueue, section_overhead_bytes
from .direct_peers import DirectPeers
from .due_peers import DuePeers
from .frame_seal import FrameSeal, Outgoing
from .stream import Stream
from .stream_limits import DEFAULT_LIMITS, DeliveryCounters, StreamLimits
from .timing import Pacing

DEFAULT_FRAME_BYTES = 256 * 1024

DIRECT_RETRY_AFTER_S = 1.0
"""How long a message on a direct connection may be unacknowledged, in seconds: none is lost there.
"""

MAX_RELAYED = 1_000
"""How many letters of other members may wait to be relayed; the oldest are dropped."""

NOBODY_ELSE: frozenset[str] = frozenset()

_FRAME_OVERHEAD_BYTES = 16
_SMALLEST_SHARE_BYTES = 4096
_AT_ONCE = -math.inf


class Multiplexer:
    """Numbered conversations with peers, and loose messages to any address.

    Args:
        address: the address of this member.
        frame_bytes: the maximum length of a frame before compression. A longer message is still
            sent, alone in its frame.
        limits: the bounds of each conversation.
        seal: encrypts the frames that the link sends and decrypts those that it receives; None
            leaves them unencrypted. Direct connections have encryption of their own.
        one_receiver: whether each frame of the link is for one address, since only the members at
            this address receive it.

    Attributes:
        pacing: how long to wait after a frame before the next one leaves.
        next_alarm_at: the value of `next_alarm` after the last `collect`.
    """

    def __init__(
        self,
        address: str,
        frame_bytes: int = DEFAULT_FRAME_BYTES,
        limits: StreamLimits = DEFAULT_LIMITS,
        seal: FrameSeal[Any] | None = None,
        *,
        one_receiver: bool = False,
    ) -> None:
        self.address = address
        self.pacing = Pacing()
        self.next_alarm_at: float | None = None
        self._seal = seal
        self._one_receiver = one_receiver
        self.counters = DeliveryCounters()
        self._limits = limits
        self._room_bytes = frame_bytes - _FRAME_OVERHEAD_BYTES - len(address.encode())

        # Bounded by the owner, who opens a conversation with each admitted peer.
        self._streams: dict[str, Stream] = {}
        self._due = DuePeers(self._streams)

        self._datagrams = DatagramQueue(self.counters)
        self._direct = DirectPeers()
        self.overhear: Overhearer | None = None
        self.give_up_direct: Callable[[str], None] | None = None
        self._relayed: deque[Frame] = deque(maxlen=MAX_RELAYED)

    def find(self, peer: str) -> Stream | None:
        """The open conversation with a peer; None if there is none."""
        return self._streams.get(peer)

    def open(self, peer: str, conversation: str) -> None:
        """Open a conversation with a peer; keeps one of the same name, drops one of another."""
        current = self._streams.get(peer)
        if current is None or current.conversation != conversation:
            self.close(peer)
            stream = Stream(conversation, self._limits, self.counters, self.pacing)
            stream.section_bytes = section_overhead_bytes(peer)
            self._streams[peer] = stream
            stream.min_retry_after_s = DIRECT_RETRY_AFTER_S if peer in self._direct.working else 0.0

    def close(self, peer: str) -> None:
        """Drop the conversation with a peer, if any, with everything that was not delivered."""
        self._streams.pop(peer, None)
        self._due.forget(peer)
        self._direct.forget(peer)

    def trust_direct(self, peer: str) -> None:
        """Send messages for a peer over its direct connection, which has just received something.

        A direct connection can be cut or stalled without a report. If a message on it must be sent
        again, it is closed. If a peer sends a message again over the link, this end stops using the
        connection until it receives something on it: an acknowledgement may have been lost.
        """
        if peer not in self._direct.working:
            self._direct.add(peer)
            if peer in self._streams:
                self._streams[peer].min_retry_after_s = DIRECT_RETRY_AFTER_S

    def distrust_direct(self, peer: str) -> None:
        """Send messages for a peer over the link."""
        if peer in self._direct.working:
            self._direct.remove(peer)
            if peer in self._streams:
                self._streams[peer].hurry()
                self._due.reconsider(peer, self._streams[peer])

    def post(self, peer: str, *messages: bytes) -> int:
        """Queue messages that must arrive, and return the number of the last one, from 0.

        If one is refused, those before it stay queued.

        Raises:
            UnknownPeer: no conversation with the peer is open.
            BacklogFull: too much is already queued for this peer.
            EncodeError: the message is over `MAX_MESSAGE_BYTES`.
        """
        stream = self._streams.get(peer)
        if stream is None:
            raise UnknownPeer(peer)
        number = -1
        try:
            for message in messages:
                number = stream.post(message)
        finally:
            if peer not in self._due.peers:
                self._due.reconsider(peer, stream)
        return number

    def post_datagram(self, to: str, message: bytes, *, also_direct: bool = False) -> None:
        """Queue a message that may get lost; if too many wait, the oldest are dropped.

        Args:
            to: an address, `EVERYONE` or `ANY_MANAGER`.
            message: the encoded message.
            also_direct: also send it over the direct connection of a peer with an open
                conversation, now or as soon as there is one, before everything else on that
                connection. It may then arrive twice.

        Raises:
            EncodeError: the message is over `MAX_MESSAGE_BYTES`.
        """
        self._datagrams.add(to, message)
        if also_direct:
            self._direct.queue(to, message, may_wait=to in self._streams)

    def collect(self, now: float) -> Outgoing | None:
        """Build the frame that is due, as full as possible; None if nothing is due.

        Call it again until it returns None. Peers take turns: a peer that found no room comes first
        in the next frame.

        Args:
            now: the time in seconds.
        """
        seal = self._seal
        if seal is not None and seal.due:
            outgoing = seal.collect()
        else:
            outgoing = self._collect(now)
            if seal is not None and outgoing is not None and not outgoing.is_direct:
                outgoing = seal.wrap(outgoing, now)
        self.next_alarm_at = self.next_alarm()
        if outgoing is None or outgoing.is_direct or self._one_receiver:
            return outgoing
        # Where every member receives every frame, only the addresses of peers are known.
        return outgoing if outgoing.to in self._streams else outgoing._replace(to=None)

    def _collect(self, now: float) -> Outgoing | None:
        self._due.wake(now)
        if self._relayed:
            relayed = self._relayed.popleft()
            return Outgoing(encode_frame(relayed), _receiver_of(relayed.sections[0].to))
        if self._direct.waiting:
            to, message = self._direct.waiting.popleft()
            frame = self._encode([Section(to, encode_letter(Datagram((message,))))])
            return Outgoing(frame, to, is_direct=True)
        if self._direct.working and not self._datagrams.waiting:
            outgoing = self._collect_direct(now)
            if outgoing is not None:
                return outgoing
        if self._one_receiver:
            return self._collect_for_one(now)
        sections: list[Section] = []
        room_bytes = self._room_bytes
        if self._datagrams.waiting:
            # Loose messages go first, but leave half of the frame to the others.
            sections, used_bytes = self._datagrams.take(
                room_bytes // 2 if self._due.peers else room_bytes
            )
            room_bytes -= used_bytes
        if self._due.peers:
            room_bytes = self._collect_due(now, sections, room_bytes)
        if not sections:
            return None
        if self._due.owing:
            self._collect_early_acks(now, sections, room_bytes)
        return Outgoing(self._encode(sections), self._only_peer(sections))

    def receive(
        self,
        frame: bytes,
        now: float,
        listens_to: frozenset[str] = NOBODY_ELSE,
        *,
        from_direct: str | None = None,
    ) -> list[Arrival]:
        """Receive a frame.

        Letters for other members are not opened. Letters that can't be decoded are counted and
        skipped.

        Args:
            frame: any bytes that the link received.
            now: the time in seconds.
            listens_to: addresses besides this member's own, such as `EVERYONE`.
            from_direct: the peer at the other end of the direct connection that received the frame;
                None if the link received it.

        Raises:
            DecodeError: the bytes are not a frame, or the sender may not use its address. Nothing
                else is ever raised.
        """
        if from_direct is not None:
            if is_segment(frame):
                inside = Frame(from_direct, (Section(self.address, frame),))
            else:
                inside = decode_frame(frame)
            if inside.sender != from_direct:
                raise DecodeError(
                    Flaw.FORGED_SENDER,
                    f"a frame from the address {inside.sender[:80]!r} on the direct connection of "
                    f"{from_direct!r}",
                )
            return self._handle_frame(inside, now, listens_to, is_direct=True)
        if self._seal is None:
            return self._handle_frame(decode_frame(frame), now, listens_to)
        opened = self._seal.unwrap(frame, now)
        if opened is None:
            return []
        inside = decode_frame(opened.frame)
        sender = inside.sender
        is_anyones = opened.is_managers or opened.speaker is None
        if not is_anyones and not self._seal.may_speak_as(
            sender, opened, is_peer=sender in self._streams, now=now
        ):
            raise DecodeError(
                Flaw.FORGED_SENDER,
                f"a frame from the address {sender[:80]!r}, which belongs to another member",
            )
        arrivals = self._handle_frame(inside, now, listens_to)
        if self._seal.manages or opened.is_managers:
            return arrivals
        return [arrival._replace(is_managers=False) for arrival in arrivals]

    def _handle_frame(
        self,
        frame: Frame,
        now: float,
        listens_to: frozenset[str],
        *,
        is_direct: bool = False,
    ) -> list[Arrival]:
        sender, sections = frame
        if sender == self.address:
            return []
        self.counters.frames_received += 1
        arrivals: list[Arrival] = []
        for section in sections:
            if section.to == self.address or section.to in listens_to:
                arrival = self._open_letter(sender, section, now, is_direct)
                if arrival is not None:
                    arrivals.append(arrival)
            if self.overhear is not None and section.to not in (self.address, ANY_MANAGER):
                self.overhear(sender, section)
        return arrivals

    def relay(self, sender: str, section: Section) -> None:
        """Relay a letter from another workspace in its sender's name; it may get lost."""
        self._relayed.append(Frame(sender, (section,)))

    def next_alarm(self) -> float | None:
        """When something will be due, in seconds.

        Minus infinity if something is due already; None if nothing will be due until something is
        posted or received.
        """
        if self._datagrams.waiting or self._direct.waiting or self._due.peers or self._relayed:
            return _AT_ONCE
        if self._seal is not None and self._seal.due:
            return _AT_ONCE
        return self._due.next_timer()

    def has_unsettled(self) -> bool:
        """Whether a posted message may not have arrived, or an acknowledgement is owed to a peer.

        If a member leaves without acknowledging, the other end waits until its timeout.
        """
        return bool(self._due.owing) or any(not stream.idle for stream in self._streams.values())

    def _encode(self, sections: list[Section]) -> bytes:
        return self._count(encode_frame(Frame(self.address, tuple(sections))))

    def _count(self, frame: bytes) -> bytes:
        self.counters.frames_sent += 1
        return frame

    def _collect_direct(self, now: float) -> Outgoing | None:
        """Build a frame for one peer with a direct connection; None if nothing is due for any."""
        for peer in [peer for peer in self._due.peers if peer in self._direct.working]:
            stream = self._streams[peer]
            if stream.is_late_direct(now):
                self.distrust_direct(peer)
                if self.give_up_direct is not None:
                    self.give_up_direct(peer)
                continue
            segment = stream.collect(
                now, self._room_bytes, is_direct=True, largest_room_bytes=math.inf
            )
            self._due.served(peer, stream, now)
            if segment is not None:
                letter = encode_letter(segment)
                # Both ends know whose connection it is; only a frame can be compressed.
                is_short = len(letter) <= COMPRESS_ABOVE_BYTES
                frame = self._count(letter) if is_short else self._encode([Section(peer, letter)])
                return Outgoing(frame, peer, is_direct=True)
        return None

    def _collect_for_one(self, now: float) -> Outgoing | None:
        """Build a frame for one address; None if nothing is due."""
        if self._datagrams.waiting:
            sections, _ = self._datagrams.take(self._room_bytes, for_one_address=True)
            return Outgoing(self._encode(sections), _receiver_of(sections[0].to))
        for _ in range(len(self._due.peers)):
            peer = next(iter(self._due.peers))
            stream = self._streams[peer]
            segment = stream.collect(now, self._room_bytes, largest_room_bytes=math.inf)
            self._due.served(peer, stream, now)
            if segment is not None:
                return Outgoing(self._encode([Section(peer, encode_letter(segment))]), peer)
        return None

    def _collect_due(self, now: float, sections: list[Section], room_bytes: int) -> int:
        turns = deque(peer for peer in self._due.peers if peer not in self._direct.working)
        share_bytes = max(room_bytes // max(len(turns), 1), _SMALLEST_SHARE_BYTES)
        while turns:
            peer = turns.popleft()
            stream = self._streams[peer]
            segment = stream.collect(
                now,
                min(share_bytes, room_bytes),
                # The first section of a frame may be as long as it needs.
                largest_room_bytes=room_bytes if sections else math.inf,
            )
            is_due = stream.due_at is not None and stream.due_at <= now
            if segment is None and is_due:
                # There was no room: it keeps its turn for the next frame.
                continue
            if segment is not None:
                sections.append(Section(peer, encode_letter(segment)))
                room_bytes -= stream.section_bytes + len(sections[-1].letter)
            if self._due.served(peer, stream, now):
                turns.append(peer)
        return room_bytes

    def _collect_early_acks(self, now: float, sections: list[Section], room_bytes: int) -> None:
        for peer in [peer for peer in self._due.owing if peer not in self._direct.working]:
            stream = self._streams[peer]
            segment = stream.collect(now, room_bytes, early_ack=True)
            if segment is None:
                continue
            sections.append(Section(peer, encode_letter(segment)))
            room_bytes -= stream.section_bytes + len(sections[-1].letter)
            if stream.due_at is None or stream.due_at > now:
                self._due.peers.pop(peer, None)
            self._due.reconsider(peer, stream)

    def _only_peer(self, sections: list[Section]) -> str | None:
        addresses = {section.to for section in sections}
        if len(addresses) > 1:
            return None
        # An address that is no peer's may be in another workspace: the manager has to relay it.
        return next((address for address in addresses if address in self._streams), None)

    def _open_letter(
        self, sender: str, section: Section, now: float, is_direct: bool
    ) -> Arrival | None:
        try:
            letter = decode_letter(section.letter)
        except DecodeError:
            self.counters.broken_letters += 1
            return None
        if isinstance(letter, Datagram):
            return Arrival(sender, letter.messages, False)
        stream = self._streams.get(sender)
        if stream is None or section.to != self.address:
            self.counters.foreign_segments += 1
            return None
        if not is_direct and stream.has(letter):
            self.distrust_direct(sender)
        messages = stream.accept(letter, now)
        self._due.reconsider(sender, stream)
        return Arrival(sender, tuple(messages), True) if messages else None


def _receiver_of(to: str) -> str | None:
    """The receiver of a frame for an address; None for everyone."""
    return None if to == EVERYONE else to
