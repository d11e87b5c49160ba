"""A sealed frame opens as what it was sealed as, once, and in no other way."""

from __future__ import annotations

import contextlib
import struct
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.agents.kernel.delivery.frame_seal import Outgoing
from muster.agents.kernel.security.sealed_frame import (
    HEADER_BYTES,
    SIGNED_BYTES,
    FrameKind,
    pack_header,
    read_header,
)
from muster.messages import DecodeError, Flaw
from muster.messages.frame import MAX_FRAME_BYTES, Frame, encode_frame


@dataclass(frozen=True)
class Direction:
    """One direction between a manager and a client that was let in."""

    sender: Any
    receiver: Any


@pytest.fixture(params=["to the manager", "to the client"])
def direction(request: pytest.FixtureRequest, estate: Any) -> Direction:
    manager, client = estate.pair()
    ends = (client, manager) if request.param == "to the manager" else (manager, client)
    return Direction(*ends)


@given(content=st.binary(max_size=500))
def test_what_was_sealed_is_opened_on_either_end(estate: Any, content: bytes) -> None:
    manager, client = estate.pair()
    assert estate.opened(manager, estate.sent(client, content), 0.0) == content
    assert estate.opened(client, estate.sent(manager, content), 0.0) == content


def test_a_sealed_frame_shows_nothing_of_its_content(estate: Any, direction: Direction) -> None:
    content = b"the secret ingredient is love"
    sealed = estate.sent(direction.sender, content)
    assert len(sealed) == len(content) + SIGNED_BYTES + HEADER_BYTES + 16
    assert content[:8] not in sealed


def test_a_sealed_frame_is_passed_over_by_an_unpickler_as_other_frames_are(estate: Any) -> None:
    assert estate.sent(estate.manager()).startswith(b"N.\x03")


@given(data=st.data())
def test_a_frame_with_any_bit_flipped_is_never_let_in(estate: Any, data: st.DataObject) -> None:
    manager, client = estate.pair()
    for sender, receiver in ((client, manager), (manager, client)):
        sealed = bytearray(estate.sent(sender, data.draw(st.binary(max_size=60))))
        bit = data.draw(st.integers(0, 8 * len(sealed) - 1))
        sealed[bit // 8] ^= 1 << bit % 8
        assert_not_let_in(receiver, bytes(sealed))


def assert_not_let_in(receiver: Any, data: bytes) -> None:
    with contextlib.suppress(DecodeError):
        # A kind that is not for this end is passed over in silence.
        assert receiver.unwrap(data, 0.0) is None


HEADER_FIELDS = {
    "sender": st.binary(min_size=16, max_size=16),
    "bound_to": st.binary(min_size=16, max_size=16),
    "pass_number": st.integers(0, 2**64 - 1),
    "counter": st.integers(0, 2**64 - 1),
    "kind": st.sampled_from(FrameKind),
}


@pytest.mark.parametrize("field", HEADER_FIELDS)
@given(data=st.data())
def test_a_frame_with_another_header_is_never_let_in(
    estate: Any, field: str, data: st.DataObject
) -> None:
    manager, client = estate.pair()
    for sender, receiver in ((client, manager), (manager, client)):
        sealed = estate.sent(sender)
        header = read_header(sealed)
        value = data.draw(
            HEADER_FIELDS[field].filter(lambda it, of=header: it != getattr(of, field))
        )
        altered = pack_header(header._replace(**{field: value})) + sealed[HEADER_BYTES:]
        assert_not_let_in(receiver, altered)
        assert estate.opened(receiver, sealed, 0.0) == b"frame"


@given(length=st.integers(0, HEADER_BYTES + SIGNED_BYTES + 16 + 5))
def test_a_frame_that_was_cut_off_is_refused(estate: Any, length: int) -> None:
    manager, client = estate.pair()
    sealed = estate.sent(client, b"frames")
    flaw = estate.flaw(manager, sealed[:length])
    assert flaw is (Flaw.WRONG_SECRET if length >= HEADER_BYTES else Flaw.GARBAGE)


def test_a_frame_is_let_in_once(estate: Any, direction: Direction) -> None:
    sealed = estate.sent(direction.sender)
    assert estate.opened(direction.receiver, sealed, 0.0) == b"frame"
    assert [estate.flaw(direction.receiver, sealed) for _ in range(3)] == [Flaw.REPLAYED] * 3


def test_frames_in_any_order_are_let_in(estate: Any, direction: Direction) -> None:
    frames = [estate.sent(direction.sender, b"%d" % number) for number in range(100)]
    opened = [estate.opened(direction.receiver, frame) for frame in reversed(frames)]
    assert opened == [b"%d" % number for number in reversed(range(100))]


def test_a_frame_that_comes_back_to_its_sender_is_dropped(
    estate: Any, direction: Direction
) -> None:
    sealed = estate.sent(direction.sender)
    assert estate.flaw(direction.sender, sealed) is Flaw.REPLAYED


def test_a_frame_sealed_with_another_secret_is_refused(estate: Any) -> None:
    manager, client = estate.pair()
    stranger, strangers_manager = (
        estate.client("ada", estate.other_secret),
        estate.manager("manager", estate.other_secret),
    )
    estate.let_in(strangers_manager, stranger)
    assert estate.flaw(manager, estate.sent(stranger)) is Flaw.WRONG_SECRET
    assert estate.flaw(client, estate.sent(strangers_manager)) is Flaw.WRONG_SECRET


def test_a_frame_of_another_workspace_with_the_same_secret_is_refused(estate: Any) -> None:
    manager, client = estate.pair()
    there_client, there_manager = (
        estate.client("ada", workspace="another"),
        estate.manager("manager", workspace="another"),
    )
    estate.let_in(there_manager, there_client)
    assert estate.flaw(manager, estate.sent(there_client)) is Flaw.WRONG_SECRET
    assert estate.flaw(client, estate.sent(there_manager)) is Flaw.WRONG_SECRET


def test_a_frame_of_one_direction_does_not_open_in_the_other(estate: Any) -> None:
    # Both ends with one session: even then the kind keeps the directions apart.
    manager, client = estate.manager("same"), estate.client("other")
    estate.let_in(manager, client)
    from_client = estate.sent(client)
    header = read_header(from_client)
    turned = pack_header(header._replace(kind=FrameKind.MANAGER)) + from_client[HEADER_BYTES:]
    assert estate.flaw(manager, turned) is Flaw.WRONG_SECRET
    from_manager = estate.sent(manager)
    header = read_header(from_manager)
    turned = pack_header(header._replace(kind=FrameKind.CLIENT)) + from_manager[HEADER_BYTES:]
    assert estate.flaw(client, turned) is Flaw.WRONG_SECRET


def test_a_frame_that_is_not_sealed_is_refused_undecoded(estate: Any) -> None:
    plain = encode_frame(Frame("ada", ()))
    broken = plain[:4] + b"\xc1" * 20
    for end in estate.pair():
        assert estate.flaw(end, plain) is Flaw.UNSEALED
        assert estate.flaw(end, broken) is Flaw.UNSEALED


def test_a_frame_too_large_is_refused_unopened(estate: Any, direction: Direction) -> None:
    sealed = estate.sent(direction.sender) + bytes(MAX_FRAME_BYTES + 100)
    assert estate.flaw(direction.receiver, sealed) is Flaw.OVERSIZED


@pytest.mark.parametrize(
    ("data", "flaw"),
    [
        (b"", Flaw.GARBAGE),
        (b"hello", Flaw.GARBAGE),
        (b"N.\x02", Flaw.GARBAGE),
        (b"N.\x02" + bytes(200), Flaw.GARBAGE),
        (b"N.\x03" + bytes(200), Flaw.GARBAGE),
        (b"N.\x09" + bytes(200), Flaw.VERSION),
        (b"\x80\x04N.", Flaw.PICKLE),
    ],
)
def test_what_is_no_sealed_frame_is_refused(
    estate: Any, direction: Direction, data: bytes, flaw: Flaw
) -> None:
    assert estate.flaw(direction.receiver, data) is flaw


@given(
    head=st.sampled_from(
        [b"", b"N.", *(b"N" + bytes((46, v, k)) for v in (2, 3) for k in range(1, 6))]
    ),
    tail=st.binary(max_size=200),
)
def test_no_bytes_raise_anything_but_decode_error(estate: Any, head: bytes, tail: bytes) -> None:
    for end in (*estate.pair(), estate.client()):
        assert_not_let_in(end, head + tail)


def test_no_two_frames_of_a_session_use_one_nonce(estate: Any) -> None:
    manager, client = estate.manager(), estate.client()
    probes = [read_header(estate.sent(client)) for _ in range(5)]
    estate.let_in(manager, client)
    frames = [read_header(estate.sent(client)) for _ in range(5)]
    counters = [header.counter for header in (*probes, *frames)]
    assert counters == sorted(set(counters))


def test_a_pass_out_of_nowhere_opens_nothing(estate: Any) -> None:
    manager, client = estate.pair()
    sealed = estate.sent(client)
    place = struct.calcsize(">2sBB16s16s")
    altered = sealed[:place] + struct.pack(">Q", 2**60) + sealed[place + 8 :]
    assert estate.flaw(manager, altered) is Flaw.WRONG_SECRET
    assert manager.wrap(Outgoing(b"", None), 0.0)
