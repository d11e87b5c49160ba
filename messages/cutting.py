"""Removes large values from encoded messages and inserts them again, without decoding them.

The result has the same bytes as before, so a message, its class and its validators are independent
of how it was sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, cast

import msgpack

from .codec import MAX_MESSAGE_BYTES
from .errors import DecodeError, Flaw
from .extent import find_end
from .work import TaskAssignment

_TASK_KIND = TaskAssignment.__name__
_WORTH_A_BLOB_SHARE = 4

_LONGEST_HEAD_BYTES = 5
_SHORT_LISTS, _LONG_LISTS = range(0x90, 0xA0), range(0xDC, 0xDE)


class OffloadedParts(NamedTuple):
    """An encoded message in parts.

    Args:
        skeleton: the message without the removed values.
        places: the positions in the skeleton at which the values were, in ascending order.
        values: the removed values, encoded.
    """

    skeleton: bytes
    places: tuple[int, ...]
    values: tuple[bytes | memoryview, ...]


class _Span(NamedTuple):
    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start


def cut(encoded: bytes, threshold_bytes: int) -> OffloadedParts | None:
    """Remove the large values from an encoded message; returns None if there are none.

    Only whole fields are removed; in an assignment, fields of the task and single inputs. A value
    is large if its size is at least a quarter of the threshold.

    Args:
        encoded: the message, as returned by `encode_message`.
        threshold_bytes: the intended maximum size of the skeleton. It may be larger if the message
            consists of many small values.
    """
    fields, inputs, all_inputs = _find_values(encoded)
    worth_bytes = max(1, threshold_bytes // _WORTH_A_BLOB_SHARE)
    spans = [span for span in (*fields, *inputs) if span.size >= worth_bytes]
    left_bytes = len(encoded) - sum(span.size for span in spans)
    if left_bytes > threshold_bytes and all_inputs is not None and all_inputs.size >= worth_bytes:
        # Many small inputs are removed together, as one value.
        spans = [span for span in fields if span.size >= worth_bytes] + [all_inputs]
    if not spans:
        return None
    spans.sort()
    kept: list[bytes] = []
    places: list[int] = []
    position = place = 0
    for span in spans:
        kept.append(encoded[position : span.start])
        place += span.start - position
        places.append(place)
        position = span.end
    kept.append(encoded[position:])
    # The values are large, so they are not copied.
    whole = memoryview(encoded)
    return OffloadedParts(
        b"".join(kept), tuple(places), tuple(whole[span.start : span.end] for span in spans)
    )


def splice(cutting: OffloadedParts) -> bytes:
    """Restore the encoded message from the parts that `cut` returned.

    Raises:
        DecodeError: the positions and values do not match, or the message is over
            `MAX_MESSAGE_BYTES`.
    """
    skeleton, places, values = cutting
    if len(places) != len(values) or not _is_in_order(places, len(skeleton)):
        raise DecodeError(Flaw.GARBAGE, "a parcel whose parts do not fit together")
    size_bytes = len(skeleton) + sum(map(len, values))
    if size_bytes > MAX_MESSAGE_BYTES:
        raise DecodeError(Flaw.OVERSIZED, f"a parcel of {size_bytes:,} bytes")
    parts: list[bytes | memoryview] = []
    position = 0
    for place, value in zip(places, values, strict=True):
        parts += (skeleton[position:place], value)
        position = place
    parts.append(skeleton[position:])
    return b"".join(parts)


def _find_values(encoded: bytes) -> tuple[list[_Span], list[_Span], _Span | None]:
    reader = _Reader(encoded)
    reader.enter()
    kind = reader.text()
    fields: list[_Span] = []
    inputs: list[_Span] = []
    all_inputs: _Span | None = None
    for _ in range(reader.enter()):
        name = reader.text()
        if kind == _TASK_KIND and name == "task":
            reader.enter()
            reader.skip()
            fields += _values_of_map(reader)
        elif kind == _TASK_KIND and name == "inputs":
            start = reader.position
            inputs = _values_of_map(reader)
            all_inputs = _Span(start, reader.position)
        else:
            fields.append(reader.skip())
    return fields, inputs, all_inputs


def _values_of_map(reader: _Reader) -> list[_Span]:
    spans: list[_Span] = []
    for _ in range(reader.enter()):
        reader.skip()
        spans.append(reader.skip())
    return spans


class _Reader:
    """Reads an encoded message value by value, without copying large values."""

    def __init__(self, encoded: bytes) -> None:
        self._encoded = encoded
        self.position = 0

    def enter(self) -> int:
        """Enter the list or dict at the position; returns the number of its items or pairs."""
        reader = msgpack.Unpacker()
        reader.feed(self._encoded[self.position : self.position + _LONGEST_HEAD_BYTES])
        head = self._encoded[self.position]
        is_list = head in _SHORT_LISTS or head in _LONG_LISTS
        count = reader.read_array_header() if is_list else reader.read_map_header()
        self.position += reader.tell()
        return count

    def text(self) -> str:
        """Read the string at the position."""
        span = self.skip()
        return cast("str", msgpack.unpackb(self._encoded[span.start : span.end]))

    def skip(self) -> _Span:
        """Skip the value at the position; returns its span."""
        start = self.position
        end = find_end(self._encoded, start)
        if end is None:
            rest = memoryview(self._encoded)[start:]
            reader = msgpack.Unpacker(strict_map_key=False, max_buffer_size=len(rest))
            reader.feed(rest)
            reader.skip()
            end = start + reader.tell()
        self.position = end
        return _Span(start, end)


def _is_in_order(places: Sequence[int], size_bytes: int) -> bool:
    bounds = (0, *places, size_bytes)
    return all(before <= after for before, after in pairwise(bounds))
