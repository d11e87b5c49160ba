"""Conversations of one member, and the frames they share."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from muster.agents.kernel.delivery import datagram_queue
from muster.agents.kernel.delivery.arrival import Arrival
from muster.agents.kernel.delivery.frame_seal import Outgoing
from muster.agents.kernel.delivery.multiplexer import Multiplexer
from muster.agents.kernel.delivery.stream_limits import DEFAULT_LIMITS, StreamLimits
from muster.messages import (
    MAX_MESSAGE_BYTES,
    BacklogFull,
    DecodeError,
    EncodeError,
    Flaw,
    UnknownPeer,
)
from muster.messages.frame import (
    ANY_MANAGER,
    EVERYONE,
    Datagram,
    Frame,
    Section,
    Segment,
    decode_frame,
    decode_letter,
    encode_frame,
    encode_letter,
)

WORKERS = ("ada", "bob", "cleo")


@pytest.fixture
def boss() -> Multiplexer:
    """A manager's mailroom with three conversations."""
    room = Multiplexer("boss")
    for worker in WORKERS:
        room.open(worker, f"boss-{worker}")
    return room


@pytest.fixture
def staff(boss: Multiplexer) -> list[Multiplexer]:
    """The manager's mailroom and those of its workers."""
    rooms = [boss]
    for worker in WORKERS:
        rooms.append(Multiplexer(worker))
        rooms[-1].open("boss", f"boss-{worker}")
    return rooms


def opened(outgoing: Outgoing | None) -> list[tuple[str, Segment | Datagram]]:
    assert outgoing is not None
    sections = decode_frame(outgoing.frame).sections
    return [(section.to, decode_letter(section.letter)) for section in sections]


def framed(sender: str, to: str, letter: Segment | Datagram) -> bytes:
    return encode_frame(Frame(sender, (Section(to, encode_letter(letter)),)))


def test_messages_for_all_peers_leave_in_one_frame(boss: Multiplexer) -> None:
    for worker in WORKERS:
        boss.post(worker, worker.encode())
    assert opened(boss.collect(0.0)) == [
        (worker, Segment(f"boss-{worker}", 0, 0, (worker.encode(),))) for worker in WORKERS
    ]
    assert boss.collect(0.0) is None


def test_a_frame_for_one_peer_is_addressed_to_it(boss: Multiplexer) -> None:
    boss.post("bob", b"hello")
    outgoing = boss.collect(0.0)
    assert outgoing is not None
    assert outgoing.to == "bob"


def test_a_frame_for_several_peers_is_for_everyone(boss: Multiplexer) -> None:
    boss.post("ada", b"hello")
    boss.post("bob", b"hello")
    outgoing = boss.collect(0.0)
    assert outgoing is not None
    assert outgoing.to is None


@pytest.mark.parametrize("to", [EVERYONE, ANY_MANAGER])
def test_a_message_to_whom_it_may_concern_is_for_everyone(boss: Multiplexer, to: str) -> None:
    boss.post_datagram(to, b"hello")
    outgoing = boss.collect(0.0)
    assert outgoing is not None
    assert outgoing.to is None
    assert opened(outgoing) == [(to, Datagram((b"hello",)))]


def test_loose_messages_to_one_address_share_a_letter(boss: Multiplexer) -> None:
    boss.post_datagram("ada", b"1")
    boss.post_datagram(EVERYONE, b"2")
    boss.post_datagram("ada", b"3")
    assert opened(boss.collect(0.0)) == [
        ("ada", Datagram((b"1", b"3"))),
        (EVERYONE, Datagram((b"2",))),
    ]


def test_each_member_gets_what_is_for_it(staff: list[Multiplexer], make_exchange) -> None:
    exchange = make_exchange(staff)
    for worker in WORKERS:
        staff[0].post(worker, worker.encode())
    staff[0].post_datagram(EVERYONE, b"to all")
    exchange.run()
    for worker in WORKERS:
        assert exchange.arrived[worker] == [
            Arrival("boss", (b"to all",), False),
            Arrival("boss", (worker.encode(),), True),
        ]


def test_acknowledgements_of_several_peers_leave_together(
    staff: list[Multiplexer], make_exchange
) -> None:
    exchange = make_exchange(staff)
    for room in staff[1:]:
        room.post("boss", b"result")
    exchange.run()
    assert exchange.messages("boss") == [b"result"] * 3
    assert [sender for _, sender, _ in exchange.sent].count("boss") == 1


def test_an_acknowledgement_rides_along_when_a_frame_leaves_for_another_peer(
    boss: Multiplexer,
) -> None:
    boss.receive(framed("ada", "boss", Segment("boss-ada", 0, 0, (b"result",))), 0.0)
    assert boss.next_alarm() == DEFAULT_LIMITS.ack_after_s
    boss.post("bob", b"hello")
    assert opened(boss.collect(0.0)) == [
        ("bob", Segment("boss-bob", 0, 0, (b"hello",))),
        ("ada", Segment("boss-ada", 0, 1, ())),
    ]
    assert boss.next_alarm() == 0.3


def test_a_quiet_exchange_stays_quiet(staff: list[Multiplexer], make_exchange) -> None:
    exchange = make_exchange(staff)
    staff[0].post("ada", b"hello")
    exchange.run()
    assert [sender for _, sender, _ in exchange.sent] == ["boss", "ada"]
    assert [room.next_alarm() for room in staff] == [None] * 4


def test_posting_to_a_stranger_is_refused(boss: Multiplexer) -> None:
    with pytest.raises(UnknownPeer, match="no stream to 'dave' is open"):
        boss.post("dave", b"hello")


def test_a_message_that_no_frame_can_carry_is_refused(boss: Multiplexer) -> None:
    giant = bytes(MAX_MESSAGE_BYTES + 1)
    with pytest.raises(EncodeError, match="67,108,865 bytes can't be sent"):
        boss.post("ada", giant)
    with pytest.raises(EncodeError):
        boss.post_datagram("ada", giant)
    assert boss.collect(0.0) is None


def test_a_full_backlog_of_one_peer_leaves_the_others_alone() -> None:
    room = Multiplexer("boss", limits=StreamLimits(backlog_messages=1))
    room.open("ada", "a")
    room.open("bob", "b")
    room.post("ada", b"1")
    with pytest.raises(BacklogFull):
        room.post("ada", b"2")
    room.post("bob", b"1")
    assert len(opened(room.collect(0.0))) == 2


def test_of_messages_posted_together_those_before_a_refused_one_are_sent() -> None:
    room = Multiplexer("boss", limits=StreamLimits(backlog_messages=2))
    room.open("ada", "boss-ada")
    with pytest.raises(BacklogFull):
        room.post("ada", b"1", b"2", b"3")
    assert opened(room.collect(0.0)) == [("ada", Segment("boss-ada", 0, 0, (b"1", b"2")))]


def test_opening_the_same_conversation_again_keeps_it(boss: Multiplexer) -> None:
    boss.post("ada", b"hello")
    boss.open("ada", "boss-ada")
    assert opened(boss.collect(0.0)) == [("ada", Segment("boss-ada", 0, 0, (b"hello",)))]


def test_opening_another_conversation_drops_the_old_one(boss: Multiplexer) -> None:
    boss.post("ada", b"old")
    boss.open("ada", "second")
    assert boss.collect(0.0) is None
    boss.post("ada", b"new")
    assert opened(boss.collect(0.0)) == [("ada", Segment("second", 0, 0, (b"new",)))]


def test_segments_of_the_old_conversation_do_not_reach_the_new_one(boss: Multiplexer) -> None:
    boss.open("ada", "second")
    late = framed("ada", "boss", Segment("boss-ada", 0, 0, (b"late",)))
    assert boss.receive(late, 0.0) == []
    assert boss.counters.foreign_segments == 1


def test_a_closed_conversation_is_forgotten(boss: Multiplexer) -> None:
    boss.post("ada", b"hello")
    boss.collect(0.0)
    boss.close("ada")
    boss.close("ada")
    assert all(boss.find(peer) for peer in ("bob", "cleo"))
    assert boss.find("ada") is None
    assert boss.next_alarm() is None
    assert boss.collect(10.0) is None


def test_what_was_not_acknowledged_is_unsettled(staff: list[Multiplexer], make_exchange) -> None:
    staff[0].post("ada", b"hello")
    assert staff[0].has_unsettled()
    assert not staff[0].find("ada").idle
    assert staff[0].find("bob").idle
    make_exchange(staff).run()
    assert not staff[0].has_unsettled()


def test_the_alarm_is_the_earliest_of_all_retransmissions(boss: Multiplexer) -> None:
    boss.post("ada", b"hello")
    assert boss.next_alarm() == -math.inf
    boss.collect(1.0)
    boss.post("bob", b"hello")
    boss.collect(1.25)
    assert boss.next_alarm() == 1.3
    assert boss.collect(1.29) is None
    assert opened(boss.collect(1.3))[0][0] == "ada"
    assert boss.next_alarm() == 1.55


def test_an_outdated_alarm_holds_up_no_other(boss: Multiplexer) -> None:
    def answer(ack: int, now: float) -> None:
        segment = Segment("boss-ada", 0, ack, ())
        boss.receive(framed("ada", "boss", segment), now)

    boss.post("ada", b"one")
    boss.collect(0.0)
    answer(1, 0.01)
    boss.post("bob", b"lost")
    boss.collect(0.02)
    # Answered fast, so it is to be sent again before the alarm that was set for the first.
    boss.post("ada", b"two")
    boss.collect(0.05)
    answer(2, 0.06)
    assert [to for to, _ in opened(boss.collect(0.4))] == ["bob"]


def test_an_acknowledgement_takes_its_alarm_back(boss: Multiplexer) -> None:
    boss.post("ada", b"hello")
    boss.collect(0.0)
    boss.receive(framed("ada", "boss", Segment("boss-ada", 0, 1, ())), 0.1)
    assert boss.next_alarm() is None


def test_a_frame_does_not_get_longer_than_asked_for() -> None:
    room = Multiplexer("boss", frame_bytes=10_000)
    room.open("ada", "a")
    room.open("bob", "b")
    for number in range(100):
        room.post("ada", b"%03d" % number * 100)
        room.post("bob", b"%03d" % number * 100)
        room.post_datagram(EVERYONE, b"%03d" % number * 10)
    lengths: list[int] = []
    while (outgoing := room.collect(0.0)) is not None:
        sender, sections = decode_frame(outgoing.frame)
        lengths.append(sum(len(to) + len(letter) for to, letter in sections) + len(sender))
    assert max(lengths) <= 10_000
    assert min(lengths[:-1]) > 9_000


def test_a_message_longer_than_a_frame_goes_alone() -> None:
    room = Multiplexer("boss", frame_bytes=1000)
    room.open("ada", "a")
    room.open("bob", "b")
    room.post("bob", b"small")
    room.post("ada", b"x" * 5000)
    room.post("bob", b"small")
    room.post_datagram("cleo", b"y" * 5000)
    frames: list[list[str]] = []
    while (outgoing := room.collect(0.0)) is not None:
        frames.append([to for to, _ in opened(outgoing)])
    assert frames == [["cleo"], ["bob"], ["ada"]]


def test_a_busy_peer_leaves_room_for_the_others() -> None:
    room = Multiplexer("boss", frame_bytes=10_000)
    for worker in WORKERS:
        room.open(worker, worker)
    for _ in range(1000):
        room.post("ada", b"x" * 100)
    room.post("bob", b"hello")
    room.post("cleo", b"hello")
    assert {to for to, _ in opened(room.collect(0.0))} == set(WORKERS)


def test_peers_without_room_come_first_in_the_next_frame() -> None:
    room = Multiplexer("boss", frame_bytes=1000)
    for worker in WORKERS:
        room.open(worker, worker)
        for _ in range(2):
            room.post(worker, b"x" * 800)
    order: list[str] = []
    while (outgoing := room.collect(0.0)) is not None:
        order += [to for to, _ in opened(outgoing)]
    assert order == [*WORKERS, *WORKERS]


def test_a_flood_of_loose_messages_leaves_half_a_frame_to_the_numbered() -> None:
    room = Multiplexer("boss", frame_bytes=10_000)
    room.open("ada", "a")
    for _ in range(100):
        room.post_datagram(EVERYONE, b"x" * 1000)
        room.post("ada", b"y" * 1000)
    letters = dict(opened(room.collect(0.0)))
    assert {to: len(letter.messages) for to, letter in letters.items()} == {EVERYONE: 4, "ada": 5}


def test_too_many_loose_messages_push_out_the_oldest(
    boss: Multiplexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datagram_queue, "MAX_DATAGRAMS", 2)
    for number in range(5):
        boss.post_datagram("ada", b"%d" % number)
    assert opened(boss.collect(0.0)) == [("ada", Datagram((b"3", b"4")))]
    assert boss.counters.datagrams_dropped == 3


def test_too_many_loose_bytes_push_out_the_oldest(
    boss: Multiplexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datagram_queue, "MAX_DATAGRAM_BYTES", 10)
    boss.post_datagram("ada", b"123456")
    boss.post_datagram("ada", b"abcdef")
    assert opened(boss.collect(0.0)) == [("ada", Datagram((b"abcdef",)))]


def test_loose_bytes_that_have_left_make_room_for_others(
    boss: Multiplexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datagram_queue, "MAX_DATAGRAM_BYTES", 10)
    for _ in range(5):
        boss.post_datagram("ada", b"123456")
        assert opened(boss.collect(0.0)) == [("ada", Datagram((b"123456",)))]
    assert boss.counters.datagrams_dropped == 0


def test_loose_bytes_that_were_pushed_out_make_room_for_others(
    boss: Multiplexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datagram_queue, "MAX_DATAGRAM_BYTES", 10)
    for message in (b"123456", b"abcdef", b"ghij"):
        boss.post_datagram("ada", message)
    assert opened(boss.collect(0.0)) == [("ada", Datagram((b"abcdef", b"ghij")))]
    assert boss.counters.datagrams_dropped == 1


def test_our_own_frames_are_ignored(boss: Multiplexer) -> None:
    assert boss.receive(framed("boss", "boss", Datagram((b"echo",))), 0.0) == []
    assert boss.counters.frames_received == 0


def test_letters_for_others_stay_closed(boss: Multiplexer) -> None:
    assert boss.receive(framed("ada", "bob", Datagram((b"secret",))), 0.0) == []
    unreadable = encode_frame(Frame("ada", (Section("bob", b"\xc1"),)))
    assert boss.receive(unreadable, 0.0) == []
    assert boss.counters.broken_letters == 0


def test_a_member_hears_only_the_common_addresses_it_listens_to(boss: Multiplexer) -> None:
    frame = framed("ada", ANY_MANAGER, Datagram((b"hello",)))
    assert boss.receive(frame, 0.0, frozenset({EVERYONE})) == []
    assert boss.receive(frame, 0.0, frozenset({ANY_MANAGER})) == [
        Arrival("ada", (b"hello",), False)
    ]


def test_a_broken_letter_is_counted_and_the_others_are_read(boss: Multiplexer) -> None:
    good = encode_letter(Datagram((b"good",)))
    frame = encode_frame(Frame("ada", (Section("boss", b"\xc1"), Section("boss", good))))
    assert boss.receive(frame, 0.0) == [Arrival("ada", (b"good",), False)]
    assert boss.counters.broken_letters == 1


def test_bytes_that_are_no_frame_raise_a_decode_error(boss: Multiplexer) -> None:
    with pytest.raises(DecodeError) as caught:
        boss.receive(b"\x80\x04N.", 0.0)
    assert caught.value.flaw is Flaw.PICKLE


def test_segments_of_strangers_are_counted_and_ignored(boss: Multiplexer) -> None:
    assert boss.receive(framed("dave", "boss", Segment("c", 0, 0, (b"x",))), 0.0) == []
    assert boss.counters.foreign_segments == 1


def test_a_segment_to_everyone_is_ignored(boss: Multiplexer) -> None:
    frame = framed("ada", EVERYONE, Segment("boss-ada", 0, 0, (b"x",)))
    assert boss.receive(frame, 0.0, frozenset({EVERYONE})) == []
    assert boss.counters.foreign_segments == 1


def test_counters_tell_what_was_sent_and_delivered(staff: list[Multiplexer], make_exchange) -> None:
    staff[0].post("ada", b"1")
    staff[0].post("bob", b"2")
    make_exchange(staff, [(), (0.01, 0.02)]).run()
    counters = staff[0].counters
    assert (counters.sent, counters.resent) == (2, 2)
    assert (staff[1].counters.delivered, staff[1].counters.duplicates) == (1, 1)
    assert counters.frames_sent == 2


@settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    fates=st.lists(st.lists(st.floats(0.0, 2.0), max_size=3), max_size=40),
    posts=st.lists(
        st.tuples(
            st.sampled_from(WORKERS), st.booleans(), st.integers(0, 700), st.floats(0.0, 0.5)
        ),
        max_size=40,
    ),
)
def test_whatever_the_direct_connection_does_all_numbered_messages_arrive_once_and_in_order(
    make_exchange,
    fates: list[list[float]],
    posts: list[tuple[str, bool, int, float]],
) -> None:
    limits = StreamLimits(window_messages=8, window_bytes=1000)
    boss = Multiplexer("boss", 1000, limits)
    rooms = {worker: Multiplexer(worker, 1000, limits) for worker in WORKERS}
    for worker, room in rooms.items():
        boss.open(worker, worker)
        room.open("boss", worker)
    exchange = make_exchange([boss, *rooms.values()], fates)
    posted: dict[tuple[str, str], list[bytes]] = {}
    for number, (worker, downward, size_bytes, pause_s) in enumerate(posts):
        sender, receiver = ("boss", worker) if downward else (worker, "boss")
        message = b"%d:" % number + b"x" * size_bytes
        exchange.rooms[sender].post(receiver, message)
        posted.setdefault((sender, receiver), []).append(message)
        exchange.run(until_s=exchange.now + pause_s)
    exchange.run()
    arrived: dict[tuple[str, str], list[bytes]] = {}
    for receiver, arrivals in exchange.arrived.items():
        for arrival in arrivals:
            arrived.setdefault((arrival.sender, receiver), []).extend(arrival.messages)
    assert arrived == posted
    assert not any(room.has_unsettled() for room in exchange.rooms.values())
    assert [room.next_alarm() for room in exchange.rooms.values()] == [None] * 4


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_a_decode_error(noise: bytes) -> None:
    room = Multiplexer("boss")
    for frame in (noise, b"N.\x01\x00" + noise, b"N.\x01\x01" + noise):
        try:
            room.receive(frame, 0.0, frozenset({EVERYONE}))
        except DecodeError:
            continue
