"""Byte streams between two members over NATS, which carry their direct connections.

Frames of a link are signed, so that any member may read them. A direct connection has keys of its
own for two members alone, which take a fraction of the time. A message that is lost ends the
stream: what was on it is sent again over the link.

A member opens a stream by `NO`, a random id and its own address; then each message is `NC`, the id
and bytes. One without bytes ends the stream.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from ...messages import DecodeError
from ..kernel.discovery import MAX_DISCOVERY_BYTES, DiscoveryCodec
from ..runtime.timeouts import within
from .connection_request import accept_over
from .lane_router import LaneRouter

OPEN_MAGIC: Final = b"NO"
DATA_MAGIC: Final = b"NC"
_ID_BYTES: Final = 16
_HEAD_BYTES: Final = 2 + _ID_BYTES
_ADDRESS_CHARACTERS: Final = 64
_MAX_ANSWERING: Final = 1024
_ANSWER_WITHIN_S: Final = 5.0
"""How many members may be asking for a stream at once, and for how long, in seconds."""

Push: TypeAlias = Callable[[str, bytes], bool]
"""Sends a message to a member at once; returns whether it could be sent."""

Stream: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class NatsCircuits:
    """The streams of one member.

    Args:
        address: the member's address.
        push: sends to another member.
        largest: returns the largest message that can be sent, in bytes.
    """

    def __init__(self, address: str, push: Push, largest: Callable[[], int]) -> None:
        self._address = address
        self._push = push
        self._largest = largest
        self._open: dict[bytes, CircuitTransport] = {}
        self._answering: set[asyncio.Future[None]] = set()
        self._talk: DiscoveryCodec | None = None
        self._router: LaneRouter | None = None

    def accept(self, talk: DiscoveryCodec, router: LaneRouter) -> None:
        """Let members open streams, which become direct connections of a manager."""
        self._talk, self._router = talk, router

    def dial(self, to: str) -> Stream:
        """Open a stream to a manager."""
        circuit_id = secrets.token_bytes(_ID_BYTES)
        stream = self._make(circuit_id, to)
        self._push(to, OPEN_MAGIC + circuit_id + self._address.encode())
        return stream

    def take(self, content: bytes) -> bool:
        """Take a message, if it belongs to a stream; return whether it does."""
        magic, circuit_id = content[:2], content[2:_HEAD_BYTES]
        if magic == DATA_MAGIC:
            circuit = self._open.get(circuit_id)
            if circuit is not None:
                circuit.arrived(content[_HEAD_BYTES:])
            return True
        if magic == OPEN_MAGIC:
            self._opened(circuit_id, content[_HEAD_BYTES:])
            return True
        return False

    def break_off(self) -> None:
        """End all streams: what was sent by them may be lost."""
        for circuit in tuple(self._open.values()):
            circuit.arrived(b"")

    async def close(self) -> None:
        """End all streams, and accept none any more."""
        self._talk = None
        for answering in self._answering:
            answering.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)
        for circuit in tuple(self._open.values()):
            circuit.abort()

    def _opened(self, circuit_id: bytes, address: bytes) -> None:
        talk, router = self._talk, self._router
        is_wrong = (
            len(circuit_id) != _ID_BYTES
            or circuit_id in self._open
            or len(address) > _ADDRESS_CHARACTERS
            or not address.isalnum()
        )
        if talk is None or router is None or is_wrong or len(self._answering) >= _MAX_ANSWERING:
            return
        stream = self._make(circuit_id, address.decode("ascii"))
        answering = asyncio.ensure_future(self._answer(stream, talk, router))
        self._answering.add(answering)
        answering.add_done_callback(self._answering.discard)

    async def _answer(self, stream: Stream, talk: DiscoveryCodec, router: LaneRouter) -> None:
        reader, writer = stream
        stays = False
        try:
            stays = await within(_ANSWER_WITHIN_S, accept_over(reader, writer, talk, router))
        except DecodeError as fault:
            router.count(fault.flaw, fault.detail)
        except (OSError, EOFError, asyncio.TimeoutError):
            # A member that goes away has not asked.
            pass
        finally:
            if not stays:
                writer.close()

    def _make(self, circuit_id: bytes, peer: str) -> Stream:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=2 * MAX_DISCOVERY_BYTES, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        head = DATA_MAGIC + circuit_id

        def send(content: bytes) -> bool:
            room = self._largest() - _HEAD_BYTES
            starts = range(0, max(len(content), 1), room)
            return all(self._push(peer, head + content[at : at + room]) for at in starts)

        def ended() -> None:
            self._open.pop(circuit_id, None)

        transport = self._open[circuit_id] = CircuitTransport(protocol, send, ended)
        protocol.connection_made(transport)
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


class CircuitTransport(asyncio.Transport):
    """One end of a stream, as asyncio knows transports.

    Args:
        protocol: what takes the bytes that arrive, at first.
        send: sends bytes to the other end; returns whether they could be sent.
        ended: called once, when it has ended.
    """

    def __init__(
        self,
        protocol: asyncio.BaseProtocol,
        send: Callable[[bytes], bool],
        ended: Callable[[], None],
    ) -> None:
        super().__init__()
        self._protocol = protocol
        self._send = send
        self._ended = ended
        self._is_closing = False

    def arrived(self, content: bytes) -> None:
        """Take what the other end has sent; nothing means that it has ended the stream."""
        if self._is_closing:
            return
        if not content:
            self._end()
        elif isinstance(self._protocol, asyncio.Protocol):
            self._protocol.data_received(content)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Give another protocol what arrives from now on."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol."""
        return self._protocol

    def is_closing(self) -> bool:
        """Whether it has ended."""
        return self._is_closing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes; if they can't be sent, the stream ends."""
        if not self._is_closing and not self._send(bytes(data)):
            self._end()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send bytes together."""
        self.write(b"".join(list_of_data))

    def close(self) -> None:
        """End it, and tell the other end."""
        if not self._is_closing:
            self._send(b"")
            self._end()

    def abort(self) -> None:
        """End it, and tell the other end."""
        self.close()

    def pause_reading(self) -> None:
        """Nothing: what may arrive is bounded by the conversation."""

    def resume_reading(self) -> None:
        """Nothing; see `pause_reading`."""

    def _end(self) -> None:
        self._is_closing = True
        self._ended()
        # The protocol may be about to replace itself.
        asyncio.get_running_loop().call_soon(lambda: self._protocol.connection_lost(None))
