"""Encodes plain values as msgpack and decodes them; only this module calls msgpack to encode.

Plain values are None, bool, int, float, str, bytes, datetimes with a time zone, and lists and dicts
of these. Tuples become lists, and members of a str or int enum become their values.
"""

from __future__ import annotations

from typing import NoReturn

import msgpack

from .errors import DecodeError, EncodeError, Flaw
from .extent import MAX_NESTING, MAX_VALUES, check_extent, check_nesting, is_surely_read_again
from .task import Payload

_LONG_BYTES = 4096

_USUAL_BYTES = 256 * 1024

# Creating a packer takes as long as packing a short message, so idle packers are reused. A packer
# is removed while in use: no two calls share one, even if a call is interrupted. So the number of
# packers is bounded by the number of concurrent calls.
_idle_packers: list[msgpack.Packer] = []

Extension = msgpack.ExtType
"""msgpack's class for extension types. It is a tuple subclass, and not a plain value."""

ENCODE_FAULTS = (ValueError, TypeError, OverflowError, RecursionError)
"""The exceptions that msgpack and pydantic raise for a value that they can't encode."""

_DECODE_FAULTS = (
    ValueError,
    TypeError,
    OverflowError,
    RecursionError,
    MemoryError,
    msgpack.UnpackException,
)


def pack(value: Payload) -> bytes:
    """Encode a plain value as msgpack, and check that `unpack` can decode it.

    Raises:
        EncodeError: msgpack can't encode the value, or `unpack` can't decode it again.
    """
    try:
        packed = msgpack.packb(value, datetime=True)
    except ENCODE_FAULTS as fault:
        raise _cannot_be_packed(fault) from None
    if _LONG_BYTES < len(packed) <= MAX_VALUES and is_surely_read_again(value):
        # For a long value this check is faster than decoding; for a short one it is not.
        return packed
    try:
        # msgpack packs some values that it can't unpack, such as a dict with tuples as keys.
        unpack(packed)
    except DecodeError as fault:
        raise EncodeError(f"it can't be decoded again: {fault.detail}") from None
    return packed


def pack_scalars(value: Payload) -> bytes:
    """Encode a value as msgpack without checking that it can be decoded again.

    Args:
        value: nested lists and dicts of strings, bytes, numbers and None; these can always be
            decoded.

    Raises:
        EncodeError: msgpack can't encode the value.
    """
    try:
        packer = _idle_packers.pop()
    except IndexError:
        packer = msgpack.Packer(datetime=True)
    try:
        packed = packer.pack(value)
    except ENCODE_FAULTS as fault:
        raise _cannot_be_packed(fault) from None
    # A packer's buffer never shrinks.
    if len(packed) <= _USUAL_BYTES:
        _idle_packers.append(packer)
    return packed


def _cannot_be_packed(fault: Exception) -> EncodeError:
    return EncodeError(f"{type(fault).__name__}: {fault}")


def unpack(data: bytes) -> Payload:
    """Decode msgpack as a plain value.

    Raises:
        DecodeError: the bytes are not one msgpack value, or contain too many or too deeply nested
            values.
    """
    # Each value and each level takes at least one byte: a short message needs no further check.
    is_shallow = len(data) <= MAX_NESTING or check_extent(data)
    try:
        value = _unfold(data)
    except msgpack.StackError:
        detail = f"lists or dicts nested over {MAX_NESTING} deep"
        raise DecodeError(Flaw.OVERSIZED, detail) from None
    except _DECODE_FAULTS as fault:
        raise DecodeError(Flaw.GARBAGE, f"not msgpack ({type(fault).__name__}: {fault})") from None
    if not is_shallow:
        check_nesting(value)
    return value


def unpack_flat(data: bytes) -> Payload:
    """Decode msgpack as a plain value without checking how deeply it is nested.

    This is faster for long messages with a fixed, shallow structure, such as letters. The caller
    matches the value against that structure, which bounds the nesting.

    Returns:
        The value; None if decoding failed or the message is too long. `unpack` then tells why.
    """
    if len(data) > MAX_VALUES:
        return None
    try:
        return _unfold(data)
    except _DECODE_FAULTS:
        return None


def _unfold(data: bytes) -> Payload:
    return msgpack.unpackb(data, strict_map_key=False, timestamp=3, ext_hook=_refuse_extension)


def _refuse_extension(code: int, _data: bytes) -> NoReturn:
    raise ValueError(f"extension type {code} is unknown here")
