"""A link over NATS: each member has a subject of its own, managers share one, and all share one.

The subjects of a run begin with `muster.RUN.`:

| subject | who receives it |
|---|---|
| `to.ADDRESS` | the member with this address |
| `managers` | the managers of the run |
| `all.SENDER` | everyone but the sender |

A frame that is larger than the server's largest message is cut. A frame that is lost, or lacks a
piece, is sent again by the numbered conversations above the link.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import struct
from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from ...messages import InvalidInput, NatsUnusable
from ...messages.frame import ANY_MANAGER, SESSION_ADDRESS
from ..kernel.security.sealed_frame import MAX_SEALED_BYTES
from ..nats.address import NatsAddress
from ..nats.shared_connection import CONNECT_TIMEOUT_S, SharedConnection, acquire, release
from .link import FrameReceiver
from .nats_circuits import NatsCircuits

PIECE_MAGIC: Final = b"NP"
_PIECE: Final = struct.Struct(">2s8sII")
MIN_PAYLOAD_BYTES: Final = 1024
"""A server with smaller messages is refused: a frame would be cut into too many."""

_MAX_UNFINISHED: Final = 256
_MAX_UNFINISHED_BYTES: Final = 2 * MAX_SEALED_BYTES
_ADDRESS_BYTES: Final = 16
_MAX_RUN_CHARACTERS: Final = 200
_UNSAFE: Final = re.compile(rb"[^A-Za-z0-9_-]")


def run_subject(run: str) -> str:
    """What the subjects of a run begin with; characters that no subject may have are escaped.

    Raises:
        InvalidInput: the name is blank or too long.
    """
    if not run.strip() or len(run) > _MAX_RUN_CHARACTERS:
        raise InvalidInput(
            f"the run is called {run[:40]!r}; over NATS its name must not be blank, and have "
            f"{_MAX_RUN_CHARACTERS} characters at most"
        )
    safe = _UNSAFE.sub(lambda found: b"=%02X" % found[0][0], run.encode("utf-8", "surrogatepass"))
    return f"muster.{safe.decode()}"


class NatsLink:
    """A member's link over NATS; see `open_nats_link`.

    Args:
        connection: the connection, which was acquired for it.
        subject: what the subjects of its run begin with.
        address: the member's address, which is new at each start.
        receive: called with each frame that arrives.
        manages: whether the member is a manager.
    """

    one_receiver = True

    def __init__(
        self,
        connection: SharedConnection,
        subject: str,
        address: str,
        receive: FrameReceiver,
        *,
        manages: bool,
    ) -> None:
        self._connection = connection
        self._subject = subject
        self._address = address
        self.receive = receive
        """Called with each frame; it may be replaced."""
        self._own_broadcasts = f"{subject}.all.{address}"
        self._subjects = [f"{subject}.to.{address}", f"{subject}.all.*"]
        if manages:
            self._subjects.append(f"{subject}.managers")
        self._pieces = PieceCollector()
        self.circuits = NatsCircuits(address, self._push, lambda: connection.max_payload)

    @property
    def address(self) -> str:
        """The address of this member."""
        return self._address

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection to a server now."""
        return self._connection.is_connected

    @property
    def asking(self) -> asyncio.Semaphore:
        """Held while it asks to join, or for a direct connection; see `SharedConnection`."""
        return self._connection.asking

    async def open(self) -> None:
        """Receive frames from now on.

        Raises:
            NatsUnusable: the server takes only messages that are too small.
        """
        largest = self._connection.max_payload
        if largest < MIN_PAYLOAD_BYTES:
            raise NatsUnusable(
                f"the NATS server at {self._connection.address} takes messages of {largest:,} "
                f"bytes at most; set its max_payload to {MIN_PAYLOAD_BYTES:,} or more, such as 1MB"
            )
        for subject in self._subjects:
            await self._connection.listen(subject, self._take)
        self._connection.on_loss.add(self.circuits.break_off)

    async def close(self) -> None:
        """Receive nothing any more."""
        await self.circuits.close()
        self._connection.on_loss.discard(self.circuits.break_off)
        for subject in self._subjects:
            await self._connection.unlisten(subject, self._take)
        await release(self._connection)

    async def send(self, frame: bytes, to: str | None = None) -> None:
        """Send a frame to one member, to the managers, or to everyone."""
        if to is None:
            subject = self._own_broadcasts
        elif to == ANY_MANAGER:
            subject = f"{self._subject}.managers"
        else:
            subject = f"{self._subject}.to.{to.removeprefix(SESSION_ADDRESS)}"
        largest = self._connection.max_payload
        if len(frame) <= largest:
            await self._connection.send(subject, frame)
        else:
            for piece in cut_frame(frame, largest):
                await self._connection.send(subject, piece)

    def _push(self, to: str, content: bytes) -> bool:
        return self._connection.push(f"{self._subject}.to.{to}", content)

    def _take(self, subject: str, content: bytes) -> None:
        if subject == self._own_broadcasts:
            return
        if self.circuits.take(content):
            return
        if content.startswith(PIECE_MAGIC):
            whole = self._pieces.add(content)
            if whole is None:
                return
            content = whole
        self.receive(content)


async def open_nats_link(
    address: NatsAddress,
    run: str,
    receive: FrameReceiver,
    *,
    member: str = "",
    manages: bool = False,
    name: str = "muster",
    timeout_s: float = CONNECT_TIMEOUT_S,
) -> NatsLink:
    """Join a run over NATS; `close` the link in the end.

    Args:
        address: the servers.
        run: the name of the run.
        receive: called with each frame that arrives.
        member: the member's address: the session of its seal; by default a random one.
        manages: whether the member is a manager.
        name: what the server shows of the connection.
        timeout_s: how long to try to connect, in seconds.

    Raises:
        NatsUnusable: the servers can't be reached, or refuse the connection.
        InvalidInput: the run's name is blank or too long.
    """
    subject = run_subject(run)
    connection = await acquire(address, f"muster {name}"[:100], timeout_s)
    link = NatsLink(
        connection, subject, member or secrets.token_hex(_ADDRESS_BYTES), receive, manages=manages
    )
    try:
        await link.open()
    except BaseException:
        await link.close()
        raise
    return link


def cut_frame(frame: bytes, largest: int) -> Iterator[bytes]:
    """Cut a frame into pieces of `largest` bytes at most."""
    room = largest - _PIECE.size
    count = -(-len(frame) // room)
    frame_id = secrets.token_bytes(8)
    for number in range(count):
        head = _PIECE.pack(PIECE_MAGIC, frame_id, number, count)
        yield head + frame[number * room : (number + 1) * room]


class PieceCollector:
    """Puts the pieces of frames together; the oldest unfinished frames make room for new ones."""

    def __init__(self) -> None:
        self._unfinished: OrderedDict[bytes, _Unfinished] = OrderedDict()
        self.waiting_bytes = 0
        """How many bytes of unfinished frames are kept."""

    def add(self, piece: bytes) -> bytes | None:
        """Add a piece; return the frame that is complete by it, if one is."""
        if len(piece) <= _PIECE.size:
            return None
        _, frame_id, number, count = _PIECE.unpack_from(piece)
        if not number < count <= MAX_SEALED_BYTES // (MIN_PAYLOAD_BYTES - _PIECE.size) + 1:
            return None
        unfinished = self._unfinished.get(frame_id)
        if unfinished is None:
            unfinished = self._unfinished[frame_id] = _Unfinished(count)
        elif unfinished.count != count or number in unfinished.pieces:
            return None
        content = piece[_PIECE.size :]
        unfinished.pieces[number] = content
        unfinished.size_bytes += len(content)
        self.waiting_bytes += len(content)
        if len(unfinished.pieces) == count:
            self._drop(frame_id)
            return b"".join(unfinished.pieces[each] for each in range(count))
        while len(self._unfinished) > _MAX_UNFINISHED or self.waiting_bytes > _MAX_UNFINISHED_BYTES:
            self._drop(next(iter(self._unfinished)))
        return None

    def _drop(self, frame_id: bytes) -> None:
        self.waiting_bytes -= self._unfinished.pop(frame_id).size_bytes


class _Unfinished:
    """A frame of which pieces are missing."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.pieces: dict[int, bytes] = {}
        self.size_bytes = 0
