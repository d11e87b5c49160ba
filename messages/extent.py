"""Checks how many values a msgpack message has and how deeply it is nested, before decoding it.

One byte can encode an empty list, which needs 64 bytes of memory, and a few kilobytes of zstd can
decompress to 64 MB of such bytes. So a message has a maximum number of values as well as of bytes.
The nesting is bounded because deeply nested values can't be formatted, compared or encoded again.

A full scan takes about 200 ns per value. It runs only if the message is long enough to exceed a
bound; cheaper checks accept most messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

from .errors import DecodeError, Flaw
from .task import Payload

MAX_VALUES = 2_000_000
"""The maximum number of values in a message; lists, dicts, keys and items all count."""

MAX_NESTING = 200
"""The maximum depth of lists and dicts, including the two to four levels of the message itself."""

# By the first byte of a value, see https://github.com/msgpack/msgpack/blob/master/spec.md
_INSIDE = {  # the number of values inside a short dict or list
    **{0x80 + length: 2 * length for length in range(16)},
    **{0x90 + length: length for length in range(16)},
}
_SIZES = {  # the size in bytes of a value without a length field
    **dict.fromkeys([*range(0x80), *range(0xE0, 0x100), 0xC0, 0xC1, 0xC2, 0xC3], 1),
    **{0xA0 + length: 1 + length for length in range(32)},
    **{0xCA: 5, 0xCB: 9, 0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9, 0xD0: 2, 0xD1: 3, 0xD2: 5, 0xD3: 9},
    **{0xD4: 3, 0xD5: 4, 0xD6: 6, 0xD7: 10, 0xD8: 18},
}
_LENGTH_BYTES = {  # the size in bytes of the length field of the others
    **{0xC4: 1, 0xC5: 2, 0xC6: 4, 0xC7: 1, 0xC8: 2, 0xC9: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4},
    **{0xDC: 2, 0xDD: 4, 0xDE: 2, 0xDF: 4},
}
_EXTENSIONS = frozenset({0xC7, 0xC8, 0xC9})
_LONG_LISTS = frozenset({0xDC, 0xDD})
_LONG_DICTS = frozenset({0xDE, 0xDF})
_OTHER_BYTES = bytes(set(range(256)) - _INSIDE.keys() - _LONG_LISTS - _LONG_DICTS)

_LONG_BYTES = 4096
_FIRST_STEPS = 256
"""How many values of a long message are scanned first: many large messages have few values."""

_SCALARS = frozenset({bool, int, float, str, bytes, type(None)})
_CONTAINERS = frozenset({list, dict, tuple})

_TOO_DEEP = f"lists or dicts nested over {MAX_NESTING} deep"
_TOO_MANY = f"more than {MAX_VALUES:,} values; pass large data by reference"


def check_extent(data: bytes) -> bool:
    """Refuse msgpack with too many values; does not check that the bytes are valid msgpack.

    Returns:
        True if the nesting is within bounds. If False, only the number of values is within bounds:
        decode the message, and call `check_nesting` with the result.

    Raises:
        DecodeError: it has more than `MAX_VALUES` values, or is nested more than `MAX_NESTING`
            deep.
    """
    # Each value and each level takes at least one byte, so nearly all messages need no scan.
    size_bytes = len(data)
    if size_bytes <= MAX_NESTING:
        return True
    if size_bytes > _LONG_BYTES and _walk(data, _FIRST_STEPS):
        return True
    if size_bytes > MAX_VALUES:
        return _walk(data, size_bytes)
    return len(data.translate(None, _OTHER_BYTES)) <= MAX_NESTING


def find_end(data: bytes, position: int) -> int | None:
    """Find the end of the value that begins at a position; None if it is a list or a dict.

    Raises:
        IndexError: the data ends within the value's header.
    """
    head = data[position]
    if head in _SIZES:
        return position + _SIZES[head]
    if head in _INSIDE or head in _LONG_LISTS or head in _LONG_DICTS:
        return None
    after_length = position + 1 + _LENGTH_BYTES[head]
    length = int.from_bytes(data[position + 1 : after_length], "big")
    return after_length + length + (head in _EXTENSIONS)


def check_nesting(value: Payload) -> None:
    """Refuse a decoded value that is nested too deeply.

    Raises:
        DecodeError: the value is nested more than `MAX_NESTING` deep.
    """
    level = [value]
    for _ in range(MAX_NESTING):
        level = [
            item
            for container in level
            for item in _items(container)
            if type(item) is list or type(item) is dict
        ]
        if not level:
            return
    raise DecodeError(Flaw.OVERSIZED, _TOO_DEEP)


def is_surely_read_again(value: Payload) -> bool:
    """Whether msgpack can certainly decode the encoded value.

    Checks only the types of items, so a container with only scalars is checked fast.
    """
    level = [value]
    for _ in range(MAX_NESTING):
        inside: list[Payload] = []
        for container in level:
            keys = cast("Iterable[object]", container) if type(container) is dict else ()
            if not _SCALARS.issuperset(map(type, keys)):
                return False
            items = _items(container)
            rarer = set(map(type, items)) - _SCALARS
            if not rarer:
                continue
            if not _CONTAINERS.issuperset(rarer):
                return False
            inside += [item for item in items if type(item) in _CONTAINERS]
        if not inside:
            return True
        level = inside
    return False


def _items(container: Payload) -> Iterable[Payload]:
    if isinstance(container, dict):
        return cast("Mapping[object, Payload]", container).values()
    return cast("Iterable[Payload]", container) if isinstance(container, list | tuple) else ()


def _walk(data: bytes, max_steps: int) -> bool:
    """Scan a message within its bounds; returns False if that takes more than `max_steps`."""
    position, values, end = 0, 0, len(data)
    awaited = [1]  # the number of values that are still missing, by level
    while awaited and position < end:
        if values > max_steps:
            return False
        if not awaited[-1]:
            awaited.pop()
            continue
        awaited[-1] -= 1
        values += 1
        head = data[position]
        inside = _INSIDE.get(head)
        if inside is not None:
            position += 1
        elif head in _SIZES:
            position += _SIZES[head]
            continue
        else:
            after_length = position + 1 + _LENGTH_BYTES[head]
            length = int.from_bytes(data[position + 1 : after_length], "big")
            position = after_length
            if head in _LONG_LISTS:
                inside = length
            elif head in _LONG_DICTS:
                inside = 2 * length
            else:
                position += length + (head in _EXTENSIONS)
                continue
        if values + inside > MAX_VALUES:
            raise DecodeError(Flaw.OVERSIZED, _TOO_MANY)
        awaited.append(inside)
        if len(awaited) > MAX_NESTING + 1:
            raise DecodeError(Flaw.OVERSIZED, _TOO_DEEP)
    if values > MAX_VALUES:
        raise DecodeError(Flaw.OVERSIZED, _TOO_MANY)
    return True
