"""A wire: a TCP connection between a worker and its manager that carries the same frames as Ceylon.

Frames are sealed as they are elsewhere, and whatever goes lost with a wire is sent again by the
link, so a wire needs to promise nothing. On it each frame follows its length, in four bytes; a
length of 0 says only that somebody is there.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from .clock import now
from .kernel.sealed_frame import MAX_SEALED_BYTES

_LENGTH_BYTES = 4

SILENT_HEARTBEATS = 3.0
"""After how many heartbeats without a byte a wire is given up."""


class WireHolder(Protocol):
    """Who has wires to peers, and sends and receives by them."""

    def expects_wire(self, peer: str) -> bool:
        """Whether a peer may have a wire."""
        ...

    def attach(self, peer: str, wire: Wire) -> None:
        """Use a wire to a peer from now on; one that was there before is closed."""
        ...

    def detach(self, peer: str, wire: Wire) -> None:
        """Use a wire no more, which has ended; nothing happens if another has its place."""
        ...

    def receive_by_wire(self, peer: str, frame: bytes) -> None:
        """Take in a frame that came by the wire to a peer; an empty one says that it works."""
        ...


class Wire(asyncio.Protocol):
    """One end of a wire.

    What waits to leave by it is bounded by what may be unacknowledged in the conversation with the
    peer.

    Args:
        peer: the address at its other end.
        holder: takes what comes by it, and has it until it ends.
        writer: of the connection that becomes a wire; all that was to be read there has been read.
        speaks_first: whether this end may send before it has heard something; the other end may
            have to become a wire yet, and would lose it.
    """

    def __init__(
        self, peer: str, holder: WireHolder, writer: asyncio.StreamWriter, *, speaks_first: bool
    ) -> None:
        self._peer = peer
        self._holder = holder
        # It closes its connection when nobody has it any more.
        self._writer = writer
        self._unread = bytearray()
        self._heard_at = now()
        self._may_speak = speaks_first
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        writer.transport.set_protocol(self)
        holder.attach(peer, self)

    def send(self, frame: bytes) -> None:
        """Send a frame, or an empty one to say that this end is there; never waits."""
        if not self._may_speak:
            return
        self._writer.transport.writelines((len(frame).to_bytes(_LENGTH_BYTES, "big"), frame))

    def close(self) -> None:
        """End it; what has not left is lost."""
        self._writer.transport.abort()
        self._end()

    async def keep(self, heartbeat_s: float) -> None:
        """Show that this end is there; returns when the wire has ended, or the other end is silent.

        Args:
            heartbeat_s: how often, in seconds.
        """
        while not self._ended.done():
            if now() - self._heard_at > SILENT_HEARTBEATS * heartbeat_s:
                self.close()
                return
            self.send(b"")
            await asyncio.wait([self._ended], timeout=heartbeat_s)

    # ---------------------------------------------------------- what asyncio calls

    def data_received(self, data: bytes) -> None:
        """Called with what arrived, wherever it is cut."""
        self._heard_at = now()
        self._may_speak = True
        unread = self._unread
        unread += data
        start = 0
        while len(unread) - start >= _LENGTH_BYTES and not self._ended.done():
            begin = start + _LENGTH_BYTES
            length = int.from_bytes(unread[start:begin], "big")
            if length > MAX_SEALED_BYTES:
                self.close()
                break
            if len(unread) < begin + length:
                break
            start = begin + length
            with memoryview(unread) as view:
                frame = bytes(view[begin:start])
            self._holder.receive_by_wire(self._peer, frame)
        del unread[:start]

    def connection_lost(self, exc: Exception | None) -> None:
        """Called when it has ended, whoever ended it."""
        del exc
        self._end()

    def _end(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)
            self._holder.detach(self._peer, self)
