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

# To make a packer takes as long as to pack a short message. Bounded by how many pack at once: who
# packs takes one out, so that none is ever in use by two threads, or by one that is interrupted.
_idle_packers: list[msgpack.Packer] = []

Extension = msgpack.ExtType
"""msgpack's own class for what it has no type for: a tuple, and nothing that we carry."""

ENCODE_FAULTS = (ValueError, TypeError, OverflowError, RecursionError)
"""What msgpack and pydantic raise about a value that they can't carry."""

_DECODE_FAULTS = (
    ValueError,
    TypeError,
    OverflowError,
    RecursionError,
    MemoryError,
    msgpack.UnpackException,
)


def pack(value: Payload) -> bytes:
    """Turn a plain value into msgpack that `unpack` is sure to read.

    Raises:
        EncodeError: msgpack can't carry it.
    """
    try:
        packed = msgpack.packb(value, datetime=True)
    except ENCODE_FAULTS as fault:
        raise _cannot_be_packed(fault) from None
    if _LONG_BYTES < len(packed) <= MAX_VALUES and is_surely_read_again(value):
        # To look at it is the cheaper proof; of a short one it is not.
        return packed
    try:
        # What msgpack packs it may still refuse to unpack, such as a dict with tuples for keys.
        unpack(packed)
    except DecodeError as fault:
        raise EncodeError(f"it can't be read again: {fault.detail}") from None
    return packed


def pack_scalars(value: Payload) -> bytes:
    """Turn a value into msgpack without the proof that it can be read again.

    Args:
        value: lists and dicts of text, bytes, numbers and None, which need no such proof.

    Raises:
        EncodeError: msgpack can't carry it.
    """
    try:
        packer = _idle_packers.pop()
    except IndexError:
        packer = msgpack.Packer(datetime=True)
    try:
        packed = packer.pack(value)
    except ENCODE_FAULTS as fault:
        raise _cannot_be_packed(fault) from None
    # Its buffer stays as long as it once had to be.
    if len(packed) <= _USUAL_BYTES:
        _idle_packers.append(packer)
    return packed


def _cannot_be_packed(fault: Exception) -> EncodeError:
    return EncodeError(f"{type(fault).__name__}: {fault}")


def unpack(data: bytes) -> Payload:
    """Turn msgpack into a plain value.

    Raises:
        DecodeError: the bytes are not one msgpack value, or would unfold to too much.
    """
    # Each value and each level takes a byte at least: what is short needs no further check.
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
    """Decode msgpack as a plain value, without a check of its nesting.

    For what holds much and is nested little, such as a letter: to take what is in it is the cheaper
    proof that it is nested no deeper.

    Returns:
        The value; None if `unpack` may know of something wrong with it.
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
