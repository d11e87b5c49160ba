"""A wire: a TCP connection between a worker and its manager that carries the same frames as Ceylon.

What is lost with a wire is sent again by the link, so a wire needs to promise nothing. On it each
record follows its length, in four bytes, whose highest bit marks a keepalive. Where frames are
sealed each record is; see `kernel/wire_keys.py`. Nothing that can't be opened counts for
anything: it ends the wire.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Protocol

from ...messages import DecodeError
from ..kernel.delivery.connection_life import ConnectionLife
from ..kernel.security.connection_keys import RECORD_NONCE_BYTES, RECORD_OVERHEAD_BYTES, RecordKey
from ..kernel.security.sealed_frame import MAX_SEALED_BYTES
from ..runtime.clock import now
from ..runtime.log import log

_LENGTH_BYTES = 4
_KEEPALIVE = 0x8000_0000
_COUNT_BYTES = 8
MAX_RECORD_BYTES = MAX_SEALED_BYTES + RECORD_OVERHEAD_BYTES


_LOOK_AFTER_S = 0.1
"""How long after a keepalive it is looked whether it was answered."""


class ConnectionHolder(Protocol):
    """Who has wires to peers, and sends and receives by them."""

    def expects_wire(self, peer: str, public_key: bytes) -> bool:
        """Whether a peer may have a wire, and has shown whose session is its own.

        Args:
            peer: its address.
            public_key: whose session it is; empty if nothing is sealed.
        """
        ...

    def attach(self, peer: str, wire: DirectConnection) -> None:
        """Use a wire to a peer from now on; one that was there before is closed."""
        ...

    def detach(self, peer: str, wire: DirectConnection) -> None:
        """Use a wire no more, which has ended; nothing happens if another has its place."""
        ...

    def receive_by_wire(self, peer: str, frame: bytes) -> None:
        """Take in a frame that came by the wire to a peer; an empty one says that it works."""
        ...

    def probe_link(self) -> float | None:
        """Measure the link, if that is possible.

        Returns:
            How long an answer took that was asked for by the last call but one or since, in
            seconds; None if there is none.
        """
        ...


class DirectConnection(asyncio.Protocol):
    """One end of a wire; `public_key` tells whose session its other end has shown to be its own.

    What waits to leave by it is bounded by what may be unacknowledged in the conversation with the
    peer.

    Args:
        peer: the address at its other end.
        holder: takes what comes by it, and has it until it ends.
        writer: of the connection that becomes a wire; all that was to be read there has been read.
        dials: whether this end asked for it. Only that end may send before it has heard something,
            since the other may have to become a wire yet; and only that end looks whether its
            keepalives are answered.
        outgoing: seals what leaves; None leaves it open.
        incoming: opens what comes; None if nothing is sealed.
        public_key: of the other end; empty if nothing is sealed.
    """

    def __init__(
        self,
        peer: str,
        holder: ConnectionHolder,
        writer: asyncio.StreamWriter,
        *,
        dials: bool,
        outgoing: RecordKey | None = None,
        incoming: RecordKey | None = None,
        public_key: bytes = b"",
    ) -> None:
        self.public_key = public_key
        self._peer = peer
        self._holder = holder
        # It closes its connection when nobody has it any more.
        self._writer = writer
        self._outgoing = outgoing
        self._incoming = incoming
        self._overhead_bytes = 0 if incoming is None else RECORD_OVERHEAD_BYTES
        self._unread = bytearray()
        self._dials = self._may_speak = dials
        self._life = ConnectionLife(now())
        self._sent = self._received = 0
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        writer.transport.set_protocol(self)
        holder.attach(peer, self)

    def send(self, frame: bytes) -> None:
        """Send a frame, or an empty one to say that this end is there; never waits."""
        if self._may_speak:
            if frame:
                self._write(frame, 0)
            else:
                self._send_keepalive()

    def close(self) -> None:
        """End it; what has not left is lost."""
        self._writer.transport.abort()
        self._end()

    def give_up(self, reason: str) -> None:
        """End it, since it does not carry what it should."""
        if not self._ended.done():
            log.info("a direct connection is given up", peer=self._peer, reason=reason)
            self.close()

    async def keep(self, heartbeat_s: float) -> None:
        """Show that this end is there; returns when the wire has ended, or is of no use.

        Args:
            heartbeat_s: how often, in seconds.
        """
        while not self._ended.done():
            self._send_keepalive()
            self._life.sent(self._sent, now())
            await asyncio.wait([self._ended], timeout=min(_LOOK_AFTER_S, heartbeat_s))
            is_doubtful = self._life.is_doubtful(now())
            link_s = self._holder.probe_link() if is_doubtful else None
            fault = self._life.fault(heartbeat_s, link_s, now())
            if fault is not None:
                self.give_up(fault)
            elif not is_doubtful:
                pause_s = max(heartbeat_s - _LOOK_AFTER_S, 0.0)
                await asyncio.wait([self._ended], timeout=pause_s)

    # ---------------------------------------------------------- what asyncio calls

    def data_received(self, data: bytes) -> None:
        """Called with what arrived, wherever it is cut."""
        unread = self._unread
        unread += data
        start = 0
        while len(unread) - start >= _LENGTH_BYTES and not self._ended.done():
            begin = start + _LENGTH_BYTES
            head = bytes(unread[start:begin])
            told = int.from_bytes(head, "big")
            is_keepalive, length = bool(told & _KEEPALIVE), told & ~_KEEPALIVE
            shortest = self._overhead_bytes + (_COUNT_BYTES if is_keepalive else 1)
            longest = shortest if is_keepalive else MAX_RECORD_BYTES
            if not shortest <= length <= longest:
                self.give_up(f"a record of {length:,} bytes came by it")
                break
            if len(unread) < begin + length:
                break
            start = begin + length
            try:
                with memoryview(unread) as view, view[begin:start] as record:
                    content = self._open(head, record)
            except DecodeError as fault:
                self.give_up(fault.detail)
                break
            self._take(content, is_keepalive)
        del unread[:start]

    def connection_lost(self, exc: Exception | None) -> None:
        """Called when it has ended, whoever ended it."""
        del exc
        self._end()

    # ---------------------------------------------------------- within

    def _take(self, content: bytes, is_keepalive: bool) -> None:
        self._received += 1
        self._may_speak = True
        if not is_keepalive:
            self._holder.receive_by_wire(self._peer, content)
            return
        if self._dials:
            self._life.answered(int.from_bytes(content, "big"), now())
        else:
            self._send_keepalive()
        self._holder.receive_by_wire(self._peer, b"")

    def _send_keepalive(self) -> None:
        self._write(self._received.to_bytes(_COUNT_BYTES, "big"), _KEEPALIVE)

    def _write(self, content: bytes, flag: int) -> None:
        self._sent += 1
        if self._outgoing is None:
            head = (flag | len(content)).to_bytes(_LENGTH_BYTES, "big")
            self._writer.transport.writelines((head, content))
            return
        length = len(content) + RECORD_OVERHEAD_BYTES
        head = (flag | length).to_bytes(_LENGTH_BYTES, "big")
        nonce = secrets.token_bytes(RECORD_NONCE_BYTES)
        sealed = self._outgoing.seal(head, nonce, content)
        self._writer.transport.writelines((head, nonce, sealed))

    def _open(self, head: bytes, record: memoryview) -> bytes:
        if self._incoming is None:
            return bytes(record)
        with record[:RECORD_NONCE_BYTES] as nonce, record[RECORD_NONCE_BYTES:] as sealed:
            return self._incoming.open(head, nonce, sealed)

    def _end(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)
            self._holder.detach(self._peer, self)
