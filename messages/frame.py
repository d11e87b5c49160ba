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
"""Smaller bodies leave as they are: on a short body zstd costs more than it saves."""

EVERYONE = "*"
"""The address of all members of the workspace."""

ANY_MANAGER = "@manager"
"""The address of the workspace's manager, for agents that don't know its real address yet."""

_HEADER_BYTES = 4
_PLAIN, _ZSTD = 0, 1
_PICKLE_PROTOCOL_2_AND_ABOVE = 0x80
_DATAGRAM, _SEGMENT = 0, 1
_BYTES = frozenset({bytes})


class _Zstd(threading.local):
    """One compressor and one decompressor for each thread: they bear no use by two at once.

    To make them anew for each frame takes three times as long as what they do.
    """

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=3)
        self.decompressor = zstandard.ZstdDecompressor()


_zstd = _Zstd()


class Datagram(NamedTuple):
    """Messages without numbers and acknowledgements; the sender may repeat them."""

    messages: tuple[bytes, ...]


class Segment(NamedTuple):
    """A run of messages out of a numbered stream, with an acknowledgement of the other direction.

    Args:
        conversation: names the two sessions that talk; another one's segments are ignored.
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
    """What travels over a link at once.

    Args:
        sender: the address that its sender claims; proves nothing.
        sections: letters and their addresses.
    """

    sender: str
    sections: tuple[Section, ...]


def encode_letter(letter: Letter) -> bytes:
    """Turn a letter into bytes."""
    if isinstance(letter, Datagram):
        return pack_scalars([_DATAGRAM, letter.messages])
    return pack_scalars([_SEGMENT, letter.conversation, letter.first, letter.ack, letter.messages])


def decode_letter(data: bytes) -> Letter:
    """Turn bytes into the letter they stand for.

    Raises:
        DecodeError: they stand for none.
    """
    letter = _read_letter(unpack_flat(data)) or _read_letter(unpack(data))
    if letter is None:
        raise DecodeError(Flaw.GARBAGE, "msgpack, but no letter")
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
    """Turn a frame into bytes, compressed if that is worth it.

    Raises:
        EncodeError: it is over `MAX_FRAME_BYTES`.
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
    """Turn bytes into the frame they stand for; its letters stay closed.

    Raises:
        DecodeError: they stand for none; nothing else is ever raised, and nothing unpickled.
    """
    body = _open(data)
    match unpack(body):
        case [str() as sender, [*sections]]:
            return Frame(sender, tuple(_section(section) for section in sections))
        case _:
            raise DecodeError(Flaw.GARBAGE, "msgpack, but no frame")


def read_version(data: bytes) -> int:
    """Tell the version of a frame, which says how the rest of it is to be read.

    Raises:
        DecodeError: the bytes do not begin as a frame does.
    """
    if not data.startswith(MAGIC):
        if data[:1] and data[0] == _PICKLE_PROTOCOL_2_AND_ABOVE and data.endswith(b"."):
            raise DecodeError(Flaw.PICKLE, f"a pickle of {len(data):,} bytes; it was not opened")
        raise DecodeError(Flaw.GARBAGE, f"{len(data):,} bytes that are no frame")
    if len(data) < _HEADER_BYTES:
        raise DecodeError(Flaw.GARBAGE, "a frame without a header")
    return data[2]


def _open(data: bytes) -> bytes:
    version, flags = read_version(data), data[3]
    if version != FRAME_VERSION:
        raise DecodeError(
            Flaw.VERSION, f"a frame of version {version}; this Muster speaks {FRAME_VERSION}"
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
            raise DecodeError(Flaw.OVERSIZED, f"a frame that would unpack to {size:,} bytes")
        if size < 0:
            raise DecodeError(Flaw.GARBAGE, "a compressed frame that does not tell its size")
        return _zstd.decompressor.decompress(body, allow_extra_data=False)
    except (zstandard.ZstdError, MemoryError) as fault:
        raise DecodeError(Flaw.GARBAGE, f"compressed badly ({fault})") from None


def _section(value: Payload) -> Section:
    match value:
        case [str() as to, bytes() as letter]:
            return Section(to, letter)
        case _:
            raise DecodeError(Flaw.GARBAGE, "a frame with a broken section")


def _is_number(value: int) -> bool:
    return value >= 0 and not isinstance(value, bool)


def _all_bytes(messages: list[Payload]) -> bool:
    return _BYTES.issuperset(map(type, cast("list[object]", messages)))
