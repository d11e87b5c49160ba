"""Frames, the units that a link transmits: each holds many messages for one or more agents.

```
N . | version | flags | body           body = msgpack [sender, [[to, letter], …]], perhaps zstd
```

A frame begins with the bytes `N.`, which to an unpickler are a complete pickle of None: plain
Ceylon agents, which unpickle whatever they receive, pass it over in silence. Each section of a
frame is addressed, and a member decodes only the letters meant for it. A letter is either a
`Datagram`, messages without guaranteed delivery, or a `Segment` of a numbered stream.
"""

from __future__ import annotations

import threading
from typing import NamedTuple, TypeAlias, cast

import zstandard

from .codec import MAX_MESSAGE_BYTES
from .errors import DecodeError, EncodeError, Flaw
from .task import Payload
from .values import pack_scalars, unpack, unpack_flat

MAGIC = b"N."
FRAME_VERSION = 1
MAX_FRAME_BYTES = MAX_MESSAGE_BYTES + 1024 * 1024
"""The largest frame, before compression, that is sent or accepted."""

COMPRESS_ABOVE_BYTES = 256
"""Bodies up to this size are not compressed: zstd saves nothing on short ones."""

EVERYONE = "*"
"""The address of all members of the workspace."""

ANY_MANAGER = "@manager"
"""The address of the workspace's manager, for agents that don't know its real address yet."""

SESSION_ADDRESS = "@"
"""Begins the address of a member of which only the session of its seal is known."""

_HEADER_BYTES = 4
_PLAIN, _ZSTD = 0, 1
_PICKLE_PROTOCOL_2_AND_ABOVE = 0x80
_DATAGRAM, _SEGMENT = 0, 1
_SEGMENT_HEADER = b"\x95\x01"
"""A list of five values, of which the first is `_SEGMENT`."""
_BYTES = frozenset({bytes})


class _Zstd(threading.local):
    """A compressor and a decompressor per thread, because they are not thread-safe.

    They are reused: creating them for each frame takes three times as long as using them.
    """

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=3)
        self.decompressor = zstandard.ZstdDecompressor()


_zstd = _Zstd()


class Datagram(NamedTuple):
    """Messages without numbers and acknowledgements; the sender may repeat them."""

    messages: tuple[bytes, ...]


class Segment(NamedTuple):
    """Consecutive messages of a numbered stream, and an acknowledgement for the other direction.

    Args:
        conversation: identifies the two sessions; segments of other conversations are ignored.
        first: the number of the first message; with no messages, the number the next one will have.
        ack: the number of the next message expected from the other side; all before it arrived.
        messages: encoded messages, numbered on from `first`.
    """

    conversation: str
    first: int
    ack: int
    messages: tuple[bytes, ...]


Letter: TypeAlias = Datagram | Segment


class Section(NamedTuple):
    """A letter and its address."""

    to: str
    letter: bytes


class Frame(NamedTuple):
    """The unit that a link transmits.

    Args:
        sender: the address that the sender claims; it is not verified here.
        sections: letters and their addresses.
    """

    sender: str
    sections: tuple[Section, ...]


def encode_letter(letter: Letter) -> bytes:
    """Encode a letter."""
    if isinstance(letter, Datagram):
        return pack_scalars([_DATAGRAM, letter.messages])
    return pack_scalars([_SEGMENT, letter.conversation, letter.first, letter.ack, letter.messages])


def is_segment(data: bytes) -> bool:
    """Whether bytes begin as a segment does, and so are no frame."""
    return data.startswith(_SEGMENT_HEADER)


def decode_letter(data: bytes) -> Letter:
    """Decode a letter.

    Raises:
        DecodeError: the bytes are not a letter.
    """
    letter = _read_letter(unpack_flat(data)) or _read_letter(unpack(data))
    if letter is None:
        raise DecodeError(Flaw.GARBAGE, "valid msgpack, but not a letter")
    return letter


def _read_letter(value: Payload) -> Letter | None:
    match value:
        case [kind, [*messages]] if kind == _DATAGRAM and _all_bytes(messages):
            return Datagram(tuple(messages))
        case [kind, str() as conversation, int() as first, int() as ack, [*messages]] if (
            kind == _SEGMENT and _is_number(first) and _is_number(ack) and _all_bytes(messages)
        ):
            return Segment(conversation, first, ack, tuple(messages))
        case _:
            return None


def encode_frame(frame: Frame) -> bytes:
    """Encode a frame, compressed if that makes it shorter.

    Raises:
        EncodeError: the frame is over `MAX_FRAME_BYTES`.
    """
    body = pack_scalars(
        [frame.sender, [[section.to, section.letter] for section in frame.sections]]
    )
    if len(body) > MAX_FRAME_BYTES:
        raise EncodeError(
            f"a frame of {len(body):,} bytes can't be sent; the limit is {MAX_FRAME_BYTES:,}"
        )
    flags = _PLAIN
    if len(body) > COMPRESS_ABOVE_BYTES:
        squeezed = _zstd.compressor.compress(body)
        if len(squeezed) < len(body):
            flags, body = _ZSTD, squeezed
    return MAGIC + bytes((FRAME_VERSION, flags)) + body


def decode_frame(data: bytes) -> Frame:
    """Decode a frame; its letters are not decoded.

    Raises:
        DecodeError: the bytes are not a frame. No other error is raised, and nothing is unpickled.
    """
    body = _open(data)
    match unpack(body):
        case [str() as sender, [*sections]]:
            return Frame(sender, tuple(_section(section) for section in sections))
        case _:
            raise DecodeError(Flaw.GARBAGE, "valid msgpack, but not a frame")


def read_version(data: bytes) -> int:
    """Read the version of a frame, which determines its format.

    Raises:
        DecodeError: the bytes do not begin with the header of a frame.
    """
    if not data.startswith(MAGIC):
        if data[:1] and data[0] == _PICKLE_PROTOCOL_2_AND_ABOVE and data.endswith(b"."):
            raise DecodeError(Flaw.PICKLE, f"a pickle of {len(data):,} bytes; it was not unpickled")
        raise DecodeError(Flaw.GARBAGE, f"{len(data):,} bytes that are not a frame")
    if len(data) < _HEADER_BYTES:
        raise DecodeError(Flaw.GARBAGE, "a frame without a header")
    return data[2]


def _open(data: bytes) -> bytes:
    version, flags = read_version(data), data[3]
    if version != FRAME_VERSION:
        raise DecodeError(
            Flaw.VERSION,
            f"a frame of version {version}; this Muster supports version {FRAME_VERSION}",
        )
    body = data[_HEADER_BYTES:]
    if flags == _ZSTD:
        body = _decompress(body)
    elif flags != _PLAIN:
        raise DecodeError(Flaw.GARBAGE, f"a frame with unknown flags {flags}")
    if len(body) > MAX_FRAME_BYTES:
        raise DecodeError(Flaw.OVERSIZED, f"a frame of {len(body):,} bytes")
    return body


def _decompress(body: bytes) -> bytes:
    try:
        size = zstandard.frame_content_size(body)
        if size > MAX_FRAME_BYTES:
            raise DecodeError(Flaw.OVERSIZED, f"a frame that would decompress to {size:,} bytes")
        if size < 0:
            raise DecodeError(Flaw.GARBAGE, "a compressed frame without a content size")
        return _zstd.decompressor.decompress(body, allow_extra_data=False)
    except (zstandard.ZstdError, MemoryError) as fault:
        raise DecodeError(
            Flaw.GARBAGE, f"a compressed frame that zstd can't decompress ({fault})"
        ) from None


def _section(value: Payload) -> Section:
    match value:
        case [str() as to, bytes() as letter]:
            return Section(to, letter)
        case _:
            raise DecodeError(Flaw.GARBAGE, "a frame with an invalid section")


def _is_number(value: int) -> bool:
    return value >= 0 and not isinstance(value, bool)


def _all_bytes(messages: list[Payload]) -> bool:
    return _BYTES.issuperset(map(type, cast("list[object]", messages)))
