"""Checks how many values a msgpack message has and how deeply it is nested, before decoding it.

One byte can stand for an empty list, which takes 64 bytes of memory; and a few kilobytes of zstd
can stand for 64 MB of such bytes. So the values in a message are bounded as well as its bytes. Its
nesting is bounded because what is nested more deeply cannot be shown, compared or sent on.

To walk through a long message takes some 200 ns a value. It is done only where the message could
unfold to too much; most are seen to be within bounds by less.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

from .errors import DecodeError, Flaw
from .task import Payload

MAX_VALUES = 2_000_000
"""How many values (lists, dicts, their keys and items, each by itself) a message may hold."""

MAX_NESTING = 200
"""How many levels of lists and dicts a message may have, its own two to four included."""

# By the first byte of a value, see https://github.com/msgpack/msgpack/blob/master/spec.md
_INSIDE = {  # how many values are inside a short dict or list
    **{0x80 + length: 2 * length for length in range(16)},
    **{0x90 + length: length for length in range(16)},
}
_SIZES = {  # how many bytes is a value that tells no length
    **dict.fromkeys([*range(0x80), *range(0xE0, 0x100), 0xC0, 0xC1, 0xC2, 0xC3], 1),
    **{0xA0 + length: 1 + length for length in range(32)},
    **{0xCA: 5, 0xCB: 9, 0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9, 0xD0: 2, 0xD1: 3, 0xD2: 5, 0xD3: 9},
    **{0xD4: 3, 0xD5: 4, 0xD6: 6, 0xD7: 10, 0xD8: 18},
}
_LENGTH_BYTES = {  # how many bytes is the length that the others tell
    **{0xC4: 1, 0xC5: 2, 0xC6: 4, 0xC7: 1, 0xC8: 2, 0xC9: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4},
    **{0xDC: 2, 0xDD: 4, 0xDE: 2, 0xDF: 4},
}
_EXTENSIONS = frozenset({0xC7, 0xC8, 0xC9})
_LONG_LISTS = frozenset({0xDC, 0xDD})
_LONG_DICTS = frozenset({0xDE, 0xDF})
_OTHER_BYTES = bytes(set(range(256)) - _INSIDE.keys() - _LONG_LISTS - _LONG_DICTS)

_LONG_BYTES = 4096
_FIRST_STEPS = 256
"""How far a long message is walked through before anything else: a large one is often one value."""

_SCALARS = frozenset({bool, int, float, str, bytes, type(None)})
_CONTAINERS = frozenset({list, dict, tuple})

_TOO_DEEP = f"lists or dicts nested over {MAX_NESTING} deep"
_TOO_MANY = f"more than {MAX_VALUES:,} values; pass large data by reference"


def check_extent(data: bytes) -> bool:
    """Refuse msgpack that would unfold to too much; whether it is msgpack is not looked at.

    Returns:
        Whether its nesting is known to be within bounds. If not, it may be unfolded, since its
        values are; then see `check_nesting`.

    Raises:
        DecodeError: it holds more than `MAX_VALUES`, or is nested more than `MAX_NESTING` deep.
    """
    # Each value and each level takes a byte at least, so that nearly all messages need no walk.
    size_bytes = len(data)
    if size_bytes <= MAX_NESTING:
        return True
    if size_bytes > _LONG_BYTES and _walk(data, _FIRST_STEPS):
        return True
    if size_bytes > MAX_VALUES:
        return _walk(data, size_bytes)
    return len(data.translate(None, _OTHER_BYTES)) <= MAX_NESTING


def find_end(data: bytes, position: int) -> int | None:
    """Where the value ends that begins at a position; None if it is a list or a dict.

    Raises:
        IndexError: the data ends before it says where.
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
    """Refuse a value that msgpack was unfolded to, if it is nested too deeply.

    Raises:
        DecodeError: it is nested more than `MAX_NESTING` deep.
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
    """Whether a value is so plain that msgpack surely reads again what it has packed of it.

    Of a container whose items are all numbers or text nothing is looked at but their types.
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
    """Go through a message; False if that takes more steps."""
    position, values, end = 0, 0, len(data)
    awaited = [1]  # how many values are still to come, level by level
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
