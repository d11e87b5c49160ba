"""A direct connection: a TCP connection between a worker and its manager for the frames of Ceylon.

Messages that are lost with a direct connection are sent again over the link, so it does not have to
guarantee anything. Each record is preceded by its length in four bytes, whose highest bit marks a
keepalive. If the workspace is sealed, each record is encrypted; see
`kernel/security/connection_keys.py`. A record that can't be decrypted is ignored and ends the
connection.
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
"""How long after a keepalive its answer is checked."""


class ConnectionHolder(Protocol):
    """The owner of direct connections, which sends and receives over them."""

    def accepts_direct(self, peer: str, public_key: bytes) -> bool:
        """Whether a peer that owns a public key may open a direct connection.

        Args:
            peer: its address.
            public_key: the key; empty if nothing is sealed.
        """
        ...

    def attach(self, peer: str, connection: DirectConnection) -> None:
        """Use a direct connection to a peer from now on; close a former one."""
        ...

    def detach(self, peer: str, connection: DirectConnection) -> None:
        """Stop using a direct connection that has ended, unless another has already replaced it."""
        ...

    def receive_direct(self, peer: str, frame: bytes) -> None:
        """Receive a frame of a direct connection; an empty one only shows that it works."""
        ...

    def probe_link(self) -> float | None:
        """Measure the link's round trip, if possible.

        Returns:
            The round trip of the previous probe, in seconds; None if it was not answered.
        """
        ...


class DirectConnection(asyncio.Protocol):
    """One end of a direct connection; `public_key` is the proved key of the other end.

    The bytes that wait to be sent are bounded by what may be unacknowledged in the conversation.

    Args:
        peer: the address of the other end.
        holder: owns the connection until it ends, and receives its frames.
        writer: of the TCP connection, whose buffer has been read completely.
        dials: whether this end requested it. Only that end may send before it has received
            something, since the other end may not be ready. Only that end checks that keepalives
            are answered.
        outgoing: encrypts outgoing records; None leaves them unencrypted.
        incoming: decrypts incoming records; None if nothing is sealed.
        public_key: the other end's key; empty if nothing is sealed.
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
        # It closes its connection when it is garbage-collected, so it has to be kept.
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
        """Send a frame, or a keepalive if it is empty; never blocks."""
        if self._may_speak:
            if frame:
                self._write(frame, 0)
            else:
                self._send_keepalive()

    def close(self) -> None:
        """Close it; unsent data is lost."""
        self._writer.transport.abort()
        self._end()

    def give_up(self, reason: str) -> None:
        """Close it because it does not work, and log the reason."""
        if not self._ended.done():
            log.info("closing a direct connection", peer=self._peer, reason=reason)
            self.close()

    async def keep(self, heartbeat_s: float) -> None:
        """Send keepalives; return when the connection has ended.

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
        """Called by asyncio with received data, in pieces of any size."""
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
                self.give_up(f"it received a record of invalid length, {length:,} bytes")
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
        """Called by asyncio when the connection has ended, whichever end closed it."""
        del exc
        self._end()

    # ---------------------------------------------------------- within

    def _take(self, content: bytes, is_keepalive: bool) -> None:
        self._received += 1
        self._may_speak = True
        if not is_keepalive:
            self._holder.receive_direct(self._peer, content)
            return
        if self._dials:
            self._life.answered(int.from_bytes(content, "big"), now())
        else:
            self._send_keepalive()
        self._holder.receive_direct(self._peer, b"")

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
