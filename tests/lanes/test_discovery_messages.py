"""Question and answer at the door: what opens, and what does not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.agents.kernel.discovery import (
    HEAD_BYTES,
    MAX_DISCOVERY_BYTES,
    ConnectionReply,
    ConnectionRequest,
    DiscoveryCodec,
    DiscoveryKind,
    Greeting,
    LaneAddress,
    Question,
    pack_greeting,
    read_greeting,
    read_head,
)
from muster.agents.kernel.security.connection_keys import Exchange
from muster.agents.kernel.security.identity import Identity
from muster.agents.kernel.security.workspace_secret import WorkspaceSecret
from muster.messages import DecodeError, Flaw
from muster.messages.frame import MAGIC

from ..every_field import make

SECRET = WorkspaceSecret(bytes(range(32)))
TALK = DiscoveryCodec(SECRET, "estate", Identity(b"Ada".ljust(32)))
MANAGERS_TALK = DiscoveryCodec(SECRET, "estate", Identity(b"manager".ljust(32)))
OPEN_TALK = DiscoveryCodec(None, "estate")
GREETING = Greeting(b"greeting".ljust(16, b"."), sealed=True)
QUESTION = Question(b"question".ljust(16, b"."), "Ada")
EXCHANGE, MANAGERS_EXCHANGE = Exchange(b"Ada's".ljust(32)), Exchange(b"manager's".ljust(32))
CONNECTION_NONCE = b"wire".ljust(16, b".")
CONNECTION_REQUEST = TALK.connection_request(CONNECTION_NONCE, "12D3KooWAda", EXCHANGE)
CONNECTION_REPLY = MANAGERS_TALK.connection_reply(MANAGERS_EXCHANGE)
PLACE = LaneAddress("estate/lane 3", "12D3KooWLane", 9003)


def body_of(word: bytes) -> bytes:
    return word[HEAD_BYTES:]


def flaw_of(talk: DiscoveryCodec, greeting: Greeting, body: bytes) -> Flaw | None:
    try:
        talk.read_question(greeting, body)
    except DecodeError as fault:
        return fault.flaw
    return None


@pytest.mark.parametrize("talk", [TALK, OPEN_TALK], ids=["sealed", "insecure"])
def test_what_is_packed_is_read_again(talk: DiscoveryCodec) -> None:
    question = talk.pack_question(GREETING, QUESTION)
    assert read_head(question[:HEAD_BYTES], DiscoveryKind.QUESTION)[1] == len(body_of(question))
    assert talk.read_question(GREETING, body_of(question)) == QUESTION
    answer = talk.pack_answer(GREETING, QUESTION, PLACE)
    assert read_head(answer[:HEAD_BYTES], DiscoveryKind.ANSWER)[1] == len(body_of(answer))
    assert talk.read_answer(GREETING, QUESTION, body_of(answer)) == PLACE
    greeting = pack_greeting(GREETING)
    assert read_head(greeting[:HEAD_BYTES], DiscoveryKind.GREETING)[1] == len(body_of(greeting))
    assert read_greeting(body_of(greeting)) == GREETING


@pytest.mark.parametrize("talk", [TALK, OPEN_TALK], ids=["sealed", "insecure"])
def test_a_request_for_a_direct_connection_is_read_again(talk: DiscoveryCodec) -> None:
    asked = talk.connection_request(CONNECTION_NONCE, "12D3KooWAda", EXCHANGE)
    request = body_of(talk.pack_connection_request(GREETING, asked))
    assert talk.read_connection_request(GREETING, request) == asked
    reply = talk.connection_reply(MANAGERS_EXCHANGE)
    said = body_of(talk.pack_connection_reply(GREETING, asked, reply))
    assert talk.read_connection_reply(GREETING, asked, said) == reply


def test_a_request_for_a_direct_connection_counts_in_its_own_visit_alone() -> None:
    request = body_of(TALK.pack_connection_request(GREETING, CONNECTION_REQUEST))
    another = Greeting(b"another visit".ljust(16, b"."), True)
    with pytest.raises(DecodeError) as caught:
        TALK.read_connection_request(another, request)
    assert caught.value.flaw is Flaw.WRONG_SECRET
    with pytest.raises(DecodeError):
        TALK.read_question(GREETING, request)


def records(
    request: ConnectionRequest = CONNECTION_REQUEST,
    reply: ConnectionReply = CONNECTION_REPLY,
    secret: WorkspaceSecret = SECRET,
    greeting: Greeting = GREETING,
) -> bytes:
    """The first record that Ada's end seals, if the handshake went as told."""
    keys = DiscoveryCodec(secret, "estate").derive_keys(greeting, request, reply, EXCHANGE)
    assert keys is not None
    return keys.of_dialer.seal(b"head", bytes(12), b"said")


def test_both_ends_of_a_direct_connection_have_the_same_keys() -> None:
    keys = MANAGERS_TALK.derive_keys(
        GREETING, CONNECTION_REQUEST, CONNECTION_REPLY, MANAGERS_EXCHANGE
    )
    assert keys is not None
    with memoryview(bytes(12)) as nonce, memoryview(records()) as sealed:
        assert keys.of_dialer.open(b"head", nonce, sealed) == b"said"


@pytest.mark.parametrize(
    "other",
    [
        {"request": CONNECTION_REQUEST._replace(nonce=b"again".ljust(16))},
        {"request": CONNECTION_REQUEST._replace(address="12D3KooWBen")},
        {"request": CONNECTION_REQUEST._replace(public_key=bytes(32))},
        {"reply": CONNECTION_REPLY._replace(public_key=bytes(32))},
        {"reply": CONNECTION_REPLY._replace(share=EXCHANGE.share)},
        {"secret": WorkspaceSecret(bytes(32))},
        {"greeting": Greeting(b"later".ljust(16, b"."), sealed=True)},
    ],
    ids=lambda other: next(iter(other)),
)
def test_whatever_was_altered_in_the_handshake_leads_to_other_keys(other: dict[str, Any]) -> None:
    assert records(**other) != records()


def test_a_share_that_leads_to_no_key_is_refused() -> None:
    with pytest.raises(DecodeError) as caught:
        records(reply=CONNECTION_REPLY._replace(share=bytes(32)))
    assert caught.value.flaw is Flaw.INVALID


def test_a_member_that_knows_the_secret_gets_no_direct_connection_in_anothers_name() -> None:
    ben = DiscoveryCodec(SECRET, "estate", Identity(b"Ben".ljust(32)))
    forged = body_of(ben.pack_connection_request(GREETING, CONNECTION_REQUEST))
    with pytest.raises(DecodeError) as caught:
        MANAGERS_TALK.read_connection_request(GREETING, forged)
    assert caught.value.flaw is Flaw.FORGED_SENDER
    answer = body_of(ben.pack_connection_reply(GREETING, CONNECTION_REQUEST, CONNECTION_REPLY))
    with pytest.raises(DecodeError) as caught:
        TALK.read_connection_reply(GREETING, CONNECTION_REQUEST, answer)
    assert caught.value.flaw is Flaw.FORGED_SENDER


def test_an_unsigned_request_for_a_direct_connection_is_refused_where_frames_are_sealed() -> None:
    # As one asks who has the secret and leaves the rest out.
    asked = ConnectionRequest(CONNECTION_NONCE, "12D3KooWAda")
    sealed = TALK._seal(DiscoveryKind.CONNECT, GREETING.nonce + CONNECTION_NONCE, ["12D3KooWAda"])
    with pytest.raises(DecodeError) as caught:
        MANAGERS_TALK.read_connection_request(GREETING, CONNECTION_NONCE + sealed)
    assert caught.value.flaw is Flaw.INVALID
    sealed = MANAGERS_TALK._seal(DiscoveryKind.CONNECTED, GREETING.nonce + asked.nonce, [])
    with pytest.raises(DecodeError) as caught:
        TALK.read_connection_reply(GREETING, asked, sealed)
    assert caught.value.flaw is Flaw.INVALID


@pytest.mark.parametrize("address", ["", " ", "x" * 201])
def test_a_request_for_a_direct_connection_that_names_nobody_is_refused(address: str) -> None:
    request = body_of(
        OPEN_TALK.pack_connection_request(GREETING, ConnectionRequest(CONNECTION_NONCE, address))
    )
    with pytest.raises(DecodeError) as caught:
        OPEN_TALK.read_connection_request(GREETING, request)
    assert caught.value.flaw is Flaw.INVALID


def test_neither_name_nor_place_stands_in_the_clear() -> None:
    assert b"Ada" not in TALK.pack_question(GREETING, QUESTION)
    assert b"12D3KooWLane" not in TALK.pack_answer(GREETING, QUESTION, PLACE)


def test_a_question_opens_only_after_the_greeting_that_it_answers() -> None:
    recorded = body_of(TALK.pack_question(GREETING, QUESTION))
    later = Greeting(b"later".ljust(16, b"."), sealed=True)
    assert flaw_of(TALK, later, recorded) is Flaw.WRONG_SECRET


def test_an_answer_opens_only_for_the_question_that_it_answers() -> None:
    recorded = body_of(TALK.pack_answer(GREETING, QUESTION, PLACE))
    other = Question(b"other".ljust(16, b"."), "Ada")
    with pytest.raises(DecodeError, match="can't be decrypted"):
        TALK.read_answer(GREETING, other, recorded)


@pytest.mark.parametrize(
    "stranger",
    [
        DiscoveryCodec(WorkspaceSecret(bytes(32)), "estate"),
        DiscoveryCodec(SECRET, "another estate"),
        OPEN_TALK,
    ],
    ids=["another secret", "another workspace", "no secret"],
)
def test_what_a_stranger_asks_is_not_opened(stranger: DiscoveryCodec) -> None:
    asked = body_of(stranger.pack_question(GREETING, QUESTION))
    assert flaw_of(TALK, GREETING, asked) is Flaw.WRONG_SECRET


def test_a_question_is_no_answer_and_an_answer_no_question() -> None:
    with pytest.raises(DecodeError):
        TALK.read_answer(GREETING, QUESTION, TALK.pack_question(GREETING, QUESTION)[-20:])
    assert flaw_of(TALK, GREETING, body_of(TALK.pack_answer(GREETING, QUESTION, PLACE))) is not None


@given(st.data())
def test_altering_any_byte_of_a_question_or_answer_keeps_it_shut(data: st.DataObject) -> None:
    for word in (
        TALK.pack_question(GREETING, QUESTION),
        TALK.pack_answer(GREETING, QUESTION, PLACE),
    ):
        body = bytearray(body_of(word))
        body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
        with pytest.raises(DecodeError):
            TALK.read_question(GREETING, bytes(body))
        with pytest.raises(DecodeError):
            TALK.read_answer(GREETING, QUESTION, bytes(body))


@pytest.mark.parametrize(
    ("head", "flaw"),
    [
        (b"GET / ", Flaw.GARBAGE),
        (b"", Flaw.GARBAGE),
        (MAGIC + b"\x03", Flaw.GARBAGE),
        (MAGIC + b"\x04\x02\x00\x10", Flaw.VERSION),
        (MAGIC + b"\x03\x01\x00\x10", Flaw.GARBAGE),
        (MAGIC + b"\x03\x02\xff\xff", Flaw.OVERSIZED),
        (MAGIC + b"\x03\x02" + (MAX_DISCOVERY_BYTES + 1).to_bytes(2, "big"), Flaw.OVERSIZED),
    ],
)
def test_what_is_no_question_is_known_by_its_head(head: bytes, flaw: Flaw) -> None:
    with pytest.raises(DecodeError) as caught:
        read_head(head, DiscoveryKind.QUESTION)
    assert caught.value.flaw is flaw


@pytest.mark.parametrize(
    "place",
    [
        LaneAddress("", "peer", 1),
        LaneAddress("estate", " ", 1),
        LaneAddress("estate", "peer", 0),
        LaneAddress("estate", "peer", 65_536),
        LaneAddress("estate", "peer", True),
        LaneAddress("e" * 201, "peer", 1),
        LaneAddress("estate", 7, 1),  # type: ignore[arg-type]
    ],
)
def test_a_place_that_is_none_is_refused(place: LaneAddress) -> None:
    with pytest.raises(DecodeError) as caught:
        TALK.read_answer(GREETING, QUESTION, body_of(TALK.pack_answer(GREETING, QUESTION, place)))
    assert caught.value.flaw is Flaw.INVALID


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for talk in (TALK, OPEN_TALK):
        for read in (
            lambda data, talk=talk: talk.read_question(GREETING, data),
            lambda data, talk=talk: talk.read_answer(GREETING, QUESTION, data),
            lambda data, talk=talk: talk.read_connection_request(GREETING, data),
            lambda data, talk=talk: talk.read_connection_reply(GREETING, CONNECTION_REQUEST, data),
            read_greeting,
            lambda data: read_head(data, DiscoveryKind.ANSWER),
        ):
            try:
                read(data)
            except DecodeError:
                continue


def test_no_field_of_a_word_is_lost() -> None:
    nonce = bytes(range(16))
    greeting = make(Greeting, nonce=nonce)
    assert read_greeting(body_of(pack_greeting(greeting))) == greeting
    question = make(Question, nonce=nonce)
    assert TALK.read_question(greeting, body_of(TALK.pack_question(greeting, question))) == question
    place = make(LaneAddress)
    answer = TALK.pack_answer(greeting, question, place)
    assert TALK.read_answer(greeting, question, body_of(answer)) == place


def test_no_field_of_what_is_said_about_a_direct_connection_is_lost() -> None:
    theirs = CONNECTION_REQUEST._asdict()
    request = make(
        ConnectionRequest, **{name: theirs[name] for name in ("nonce", "share", "public_key")}
    )
    word = TALK.pack_connection_request(GREETING, request)
    assert MANAGERS_TALK.read_connection_request(GREETING, body_of(word)) == request
    ours = CONNECTION_REPLY._asdict()
    reply = make(ConnectionReply, **{name: ours[name] for name in ("share", "public_key")})
    word = MANAGERS_TALK.pack_connection_reply(GREETING, request, reply)
    assert TALK.read_connection_reply(GREETING, request, body_of(word)) == reply
    # Without a secret nothing but nonce and address is told, and the rest has its default.
    bare = make(ConnectionRequest, nonce=CONNECTION_NONCE, share=b"", public_key=b"")
    word = OPEN_TALK.pack_connection_request(GREETING, bare)
    assert OPEN_TALK.read_connection_request(GREETING, body_of(word)) == bare
