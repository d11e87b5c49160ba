"""Frames and letters: what goes in comes out, and nothing else comes out."""

from __future__ import annotations

import hashlib
import threading

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from muster.messages import DecodeError, EncodeError, Flaw
from muster.messages.codec import pack
from muster.messages.frame import (
    ANY_MANAGER,
    COMPRESS_ABOVE_BYTES,
    EVERYONE,
    FRAME_VERSION,
    MAGIC,
    MAX_FRAME_BYTES,
    Datagram,
    Frame,
    Letter,
    Section,
    Segment,
    decode_frame,
    decode_letter,
    encode_frame,
    encode_letter,
)

PLAIN_HEADER = MAGIC + bytes((FRAME_VERSION, 0))
ZSTD_HEADER = MAGIC + bytes((FRAME_VERSION, 1))

some_bytes = st.binary(max_size=300).map(bytes) | st.binary(max_size=5).map(lambda part: part * 90)
batches = st.lists(some_bytes, max_size=5).map(tuple)
numbers = st.integers(0, 2**63)
letters = st.builds(Datagram, batches) | st.builds(
    Segment, st.text(max_size=20), numbers, numbers, batches
)
sections = st.builds(Section, st.text(max_size=20), some_bytes)
frames = st.builds(Frame, st.text(max_size=20), st.lists(sections, max_size=5).map(tuple))

SAMPLE = Frame(
    "12D3KooW",
    (
        Section(ANY_MANAGER, encode_letter(Datagram((b"hello",)))),
        Section("Asha", encode_letter(Segment("a:b", 3, 9, (b"one", b"two")))),
    ),
)
LARGE = Frame("12D3KooW", (Section(EVERYONE, b"tea " * 200),))


def _flaw(data: bytes) -> Flaw:
    with pytest.raises(DecodeError) as caught:
        decode_frame(data)
    return caught.value.flaw


@given(frames)
def test_a_frame_arrives_as_it_was_sent(frame: Frame) -> None:
    assert decode_frame(encode_frame(frame)) == frame


@given(letters)
def test_a_letter_arrives_as_it_was_sent(letter: Letter) -> None:
    arrived = decode_letter(encode_letter(letter))
    assert (arrived, type(arrived)) == (letter, type(letter))


def test_a_small_frame_is_not_compressed() -> None:
    assert encode_frame(SAMPLE).startswith(PLAIN_HEADER)


def test_a_large_frame_is_compressed() -> None:
    data = encode_frame(LARGE)
    assert data.startswith(ZSTD_HEADER)
    assert len(data) < COMPRESS_ABOVE_BYTES


def test_a_frame_that_zstd_would_make_longer_is_not_compressed() -> None:
    noise = hashlib.shake_256(b"tea").digest(COMPRESS_ABOVE_BYTES * 2)
    assert encode_frame(Frame("s", (Section("t", noise),))).startswith(PLAIN_HEADER)


def test_frames_may_be_made_and_read_in_several_threads_at_once() -> None:
    faults: list[BaseException] = []

    def work(own: bytes) -> None:
        frame = Frame("s", (Section("t", own * 20_000),))
        try:
            for _ in range(20):
                assert decode_frame(encode_frame(frame)) == frame
        except BaseException as fault:  # noqa: BLE001 - told to the test
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(b"%d" % number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def test_a_frame_of_another_version_names_both() -> None:
    data = MAGIC + b"\x07\x00" + pack(["s", []])
    with pytest.raises(DecodeError) as caught:
        decode_frame(data)
    assert str(caught.value) == "version: a frame of version 7; this Muster supports version 1"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"N",
        b"N.",
        b"N.\x01",
        b"n.\x01\x00\x92\xa0\x90",
        PLAIN_HEADER,
        MAGIC + bytes((FRAME_VERSION, 2)) + pack(["s", []]),
        MAGIC + bytes((FRAME_VERSION, 255)) + pack(["s", []]),
        PLAIN_HEADER + pack(None),
        PLAIN_HEADER + pack([]),
        PLAIN_HEADER + pack(["s"]),
        PLAIN_HEADER + pack(["s", {}]),
        PLAIN_HEADER + pack([b"s", []]),
        PLAIN_HEADER + pack(["s", [], []]),
        PLAIN_HEADER + pack(["s", [1]]),
        PLAIN_HEADER + pack(["s", [["t"]]]),
        PLAIN_HEADER + pack(["s", [["t", "text"]]]),
        PLAIN_HEADER + pack(["s", [[1, b""]]]),
        ZSTD_HEADER,
        ZSTD_HEADER + b"not zstd",
        ZSTD_HEADER + zstandard.compress(b""),
        ZSTD_HEADER + zstandard.compress(b"\xc1"),
        ZSTD_HEADER + zstandard.compress(pack(["s", []])) + b"more",
        ZSTD_HEADER + zstandard.compress(pack(["s", []])) * 2,
        ZSTD_HEADER + b"\x50\x2a\x4d\x18\x04\x00\x00\x00skip",
    ],
)
def test_what_is_no_frame_is_garbage(data: bytes) -> None:
    assert _flaw(data) is Flaw.GARBAGE


def test_a_compressed_frame_must_tell_its_size() -> None:
    secretive = zstandard.ZstdCompressor(write_content_size=False)
    with pytest.raises(DecodeError, match="without a content size"):
        decode_frame(ZSTD_HEADER + secretive.compress(pack(["s", []])))


def test_a_frame_that_claims_to_unpack_to_too_much_is_refused_unopened() -> None:
    bomb = zstandard.compress(bytes(MAX_FRAME_BYTES + 1))
    assert len(bomb) < 10_000
    with pytest.raises(
        DecodeError, match=r"^oversized: a frame that would decompress to 68,157,441"
    ):
        decode_frame(ZSTD_HEADER + bomb)


def _with_claimed_size(compressed: bytes, claimed_bytes: int) -> bytes:
    """A zstd frame whose header tells another size; 4 bytes of it, behind magic and descriptor."""
    assert compressed[4] >> 6 == 2
    single_segment = compressed[4] >> 5 & 1
    start = 5 if single_segment else 6
    return compressed[:start] + claimed_bytes.to_bytes(4, "little") + compressed[start + 4 :]


@pytest.mark.parametrize("claimed_bytes", [70_000, 99_999, 100_001, 10_000_000])
def test_a_frame_that_does_not_unpack_to_what_it_claims_is_garbage(claimed_bytes: int) -> None:
    liar = _with_claimed_size(zstandard.compress(bytes(100_000)), claimed_bytes)
    assert _flaw(ZSTD_HEADER + liar) is Flaw.GARBAGE


def test_a_few_kilobytes_of_zstd_that_hold_millions_of_lists_are_refused() -> None:
    lists = 60_000_000
    bomb = zstandard.compress(b"\x92\xa1s\xdd" + lists.to_bytes(4, "big") + b"\x90" * lists)
    assert len(bomb) < 10_000
    assert _flaw(ZSTD_HEADER + bomb) is Flaw.OVERSIZED


def test_an_uncompressed_frame_over_the_limit_is_not_read() -> None:
    assert _flaw(PLAIN_HEADER + bytes(MAX_FRAME_BYTES + 1)) is Flaw.OVERSIZED


def test_a_frame_over_the_limit_is_not_made() -> None:
    with pytest.raises(EncodeError, match="the limit is 68,157,440"):
        encode_frame(Frame("s", (Section("t", bytes(MAX_FRAME_BYTES)),)))


@pytest.mark.parametrize("frame", [SAMPLE, LARGE], ids=["plain", "compressed"])
def test_a_frame_cut_short_anywhere_is_refused(frame: Frame) -> None:
    data = encode_frame(frame)
    for length in range(len(data)):
        with pytest.raises(DecodeError):
            decode_frame(data[:length])


@pytest.mark.parametrize("frame", [SAMPLE, LARGE], ids=["plain", "compressed"])
def test_a_frame_with_any_bit_flipped_is_a_frame_or_a_decode_error(frame: Frame) -> None:
    data = encode_frame(frame)
    for position in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[position // 8] ^= 1 << position % 8
        try:
            opened = decode_frame(bytes(flipped))
        except DecodeError:
            continue
        for section in opened.sections:
            try:
                decode_letter(section.letter)
            except DecodeError:
                continue


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        [0],
        [0, b""],
        [0, ["text"]],
        [0, [b""], 1],
        [2, [b""]],
        [7, [b""]],
        [1, "c", 0, 0],
        [1, "c", -1, 0, []],
        [1, "c", 0, -1, []],
        [1, "c", True, 0, []],
        [1, b"c", 0, 0, []],
        [1, "c", 0.0, 0, []],
        [0, "c", 0, 0, []],
        [2, "c", 0, 0, []],
        {"kind": 0},
    ],
)
def test_what_is_no_letter_is_garbage(value: object) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_letter(pack(value))
    assert caught.value.flaw is Flaw.GARBAGE


@pytest.mark.parametrize(
    ("data", "flaw"),
    [
        (b"\x91" * 300 + b"\xc0", Flaw.OVERSIZED),
        (b"\x92\x00\x91" + b"\x91" * 6_000 + b"\xc0", Flaw.OVERSIZED),
        (b"\xdd\xff\xff\xff\xff" + bytes(6_000), Flaw.OVERSIZED),
        (b"\xdc\xff\xff" + bytes(6_000), Flaw.GARBAGE),
        (b"\x92\x00\x91\xc4\x05tea", Flaw.GARBAGE),
        (b"\x92\x00\x91\xc4\x03tea\x00", Flaw.GARBAGE),
        (b"\x92\x00\x91\xc7\x01\x05t", Flaw.GARBAGE),
        (b"\xc1", Flaw.GARBAGE),
        (b"", Flaw.GARBAGE),
        (b"\x91" * 2_100_000, Flaw.OVERSIZED),
    ],
)
def test_what_is_wrong_with_a_letter_is_told(data: bytes, flaw: Flaw) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_letter(data)
    assert caught.value.flaw is flaw


def test_a_letter_holds_as_many_messages_as_fit() -> None:
    letter = Segment("a:b", 3, 9, (b"\x91" * 300,) * 5_000)
    assert decode_letter(encode_letter(letter)) == letter
