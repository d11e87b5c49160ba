"""Whatever msgpack can be made to say: what is read of it, and what is refused."""

from __future__ import annotations

import struct
import tracemalloc
from datetime import datetime

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from muster.messages import DecodeError, Flaw, decode_message
from muster.messages.codec import MAX_MESSAGE_BYTES, unpack
from muster.messages.extent import MAX_NESTING, MAX_VALUES, check_extent


def _flaw(data: bytes) -> Flaw:
    with pytest.raises(DecodeError) as caught:
        unpack(data)
    return caught.value.flaw


def _timestamp(nanoseconds: int, seconds: int) -> bytes:
    return b"\xc7\x0c\xff" + struct.pack(">Iq", nanoseconds, seconds)


GARBAGE = {
    "nothing": b"",
    "a byte that stands for nothing": b"\xc1",
    "two values": b"\x01\x01",
    "a list cut short": b"\x92\x01",
    "a dict cut short": b"\x81\x01",
    "text cut short": b"\xa5abc",
    "text that is not UTF-8": b"\xa1\xff",
    "bytes said to be 4 GB": b"\xc6\xff\xff\xff\xff",
    "text said to be 4 GB": b"\xdb\xff\xff\xff\xff",
    "an extension said to be 4 GB": b"\xc9\xff\xff\xff\xff\x01",
    "a list said to be of 4 billion": b"\xdd\xff\xff\xff\xff",
    "a dict said to be of 4 billion": b"\xdf\xff\xff\xff\xff",
    "a list as a key": b"\x81\x90\x01",
    "a dict as a key": b"\x81\x80\x01",
    "an unknown extension": b"\xd4\x05a",
    "an unknown extension as a key": b"\x81\xd4\x05a\x01",
    "a reserved extension": b"\xd4\xfea",
    "a moment long after the year 9999": _timestamp(0, 2**62),
    "a moment long before the year 1": _timestamp(0, -(2**62)),
    "a moment of 5 bytes": b"\xc7\x05\xff12345",
    "a moment of no bytes": b"\xc7\x00\xff",
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_a_decode_error(name: str) -> None:
    assert _flaw(GARBAGE[name]) is Flaw.GARBAGE


@pytest.mark.parametrize("data", [_timestamp(2**32 - 1, 0), b"\xd7\xff" + b"\xff" * 8])
def test_a_moment_of_too_many_nanoseconds_is_read_or_refused(data: bytes) -> None:
    # Which of the two depends on msgpack's version.
    try:
        moment = unpack(data)
    except DecodeError:
        return
    assert isinstance(moment, datetime)


def test_of_a_key_given_twice_the_last_counts() -> None:
    assert unpack(b"\x82\xa1a\x01\xa1a\x02") == {"a": 2}


def test_two_keys_that_are_no_numbers_are_two_keys() -> None:
    not_a_number = b"\xcb\x7f\xf8\0\0\0\0\0\0"
    assert len(unpack(b"\x82" + not_a_number + b"\x01" + not_a_number + b"\x02")) == 2


@pytest.mark.parametrize("opening", [b"\x91", b"\xdc\x00\x01", b"\xdd\x00\x00\x00\x01"])
def test_lists_may_be_nested_so_deep_and_no_deeper(opening: bytes) -> None:
    assert unpack(opening * MAX_NESTING + b"\xc0")
    assert _flaw(opening * (MAX_NESTING + 1) + b"\xc0") is Flaw.OVERSIZED


@pytest.mark.parametrize("opening", [b"\x81\x01", b"\xde\x00\x01\x01", b"\xdf\x00\x00\x00\x01\x01"])
def test_dicts_may_be_nested_so_deep_and_no_deeper(opening: bytes) -> None:
    assert unpack(opening * MAX_NESTING + b"\xc0")
    assert _flaw(opening * (MAX_NESTING + 1) + b"\xc0") is Flaw.OVERSIZED


def test_many_lists_beside_one_another_are_not_nested() -> None:
    assert unpack(b"\xdc\x03\xe8" + b"\x91\x90" * 1000) == [[[]]] * 1000


def test_bytes_that_look_like_lists_are_bytes() -> None:
    assert unpack(b"\xc5\x10\x00" + b"\x91" * 4096) == b"\x91" * 4096


def test_a_message_may_hold_so_many_values_and_no_more() -> None:
    items = MAX_VALUES - 1
    assert len(unpack(b"\xdd" + items.to_bytes(4, "big") + b"\x01" * items)) == items
    items = MAX_VALUES
    assert _flaw(b"\xdd" + items.to_bytes(4, "big") + b"\x01" * items) is Flaw.OVERSIZED


def test_keys_count_as_values() -> None:
    entries = MAX_VALUES // 2
    many = b"".join(b"\xce" + number.to_bytes(4, "big") + b"\x01" for number in range(entries))
    assert _flaw(b"\xdf" + entries.to_bytes(4, "big") + many) is Flaw.OVERSIZED


def _list_of(item: bytes, size_bytes: int) -> bytes:
    count = size_bytes // len(item)
    return b"\xdd" + count.to_bytes(4, "big") + item * count


@pytest.mark.parametrize(
    "item", [b"\x90", b"\x80", b"\x81\x01\xc0", b"\xa3abc", b"\xcd\x10\x00", b"\x91\x91\x91\x90"]
)
def test_64_mb_that_would_unfold_to_gigabytes_are_refused_at_little_cost(item: bytes) -> None:
    bomb = _list_of(item, MAX_MESSAGE_BYTES - 5)
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError) as caught:
            decode_message(bomb)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.flaw is Flaw.OVERSIZED
    assert peak_bytes < 1_000_000


def test_lists_inside_lists_that_each_promise_millions_are_refused() -> None:
    promise = b"\xdd" + (1_500_000).to_bytes(4, "big")
    assert _flaw(promise * 100 + b"\xc0" * 2_000_000) is Flaw.OVERSIZED


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(0, 9), inner),
)


def _count(value: object) -> tuple[int, int]:
    """The values in a value, and how many levels of lists and dicts it has."""
    if isinstance(value, dict):
        inside = [_count(part) for pair in value.items() for part in pair]
    elif isinstance(value, list):
        inside = [_count(part) for part in value]
    else:
        return 1, 0
    return 1 + sum(values for values, _ in inside), 1 + max((deep for _, deep in inside), default=0)


@pytest.mark.slow
@given(
    st.lists(plain, max_size=5)
    | st.dictionaries(st.binary(max_size=300), plain, max_size=5)
    | st.lists(st.text(min_size=200, max_size=300) | st.just("x" * 70_000), max_size=20)
)
@example([[0] * 70_000, {n: n for n in range(70_000)}, b"x" * 70_000])
@example([msgpack.Timestamp(1, 0), msgpack.Timestamp(1, 1), msgpack.Timestamp(2**40, 1)])
def test_the_extent_is_reckoned_as_msgpack_unfolds_it(value: object) -> None:
    data = msgpack.packb([value, "x" * 40])
    values, levels = _count(value)
    values, levels = values + 2, levels + 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("muster.messages.extent.MAX_VALUES", values)
        patch.setattr("muster.messages.extent.MAX_NESTING", levels)
        check_extent(data)
        patch.setattr("muster.messages.extent.MAX_VALUES", values - 1)
        with pytest.raises(DecodeError, match="more than"):
            check_extent(data)
        patch.setattr("muster.messages.extent.MAX_VALUES", values)
        patch.setattr("muster.messages.extent.MAX_NESTING", levels - 1)
        with pytest.raises(DecodeError, match="nested"):
            check_extent(data)
