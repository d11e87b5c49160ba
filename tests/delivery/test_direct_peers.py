"""What goes by a wire, and what becomes of it when the wire is cut."""

from __future__ import annotations

import math
from heapq import heappop, heappush

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.agents.kernel.delivery.frame_seal import Outgoing
from muster.agents.kernel.delivery.multiplexer import DIRECT_RETRY_AFTER_S, Multiplexer
from muster.messages import DecodeError, Flaw
from muster.messages.frame import (
    COMPRESS_ABOVE_BYTES,
    EVERYONE,
    Datagram,
    Section,
    Segment,
    decode_frame,
    decode_letter,
    encode_letter,
    is_segment,
)

WORKERS = ("ada", "bob")
DELAY_S = 0.01


@pytest.fixture
def boss() -> Multiplexer:
    """A manager's mailroom with two conversations, and a wire to Ada."""
    room = Multiplexer("boss")
    for worker in WORKERS:
        room.open(worker, f"boss-{worker}")
    room.trust_direct("ada")
    return room


def sections_in(outgoing: Outgoing) -> tuple[Section, ...]:
    """The sections of a frame; a segment alone is one for the peer."""
    if outgoing.is_direct and is_segment(outgoing.frame):
        return (Section(outgoing.to or "", outgoing.frame),)
    return decode_frame(outgoing.frame).sections


def sections_of(outgoing: Outgoing | None) -> list[str]:
    assert outgoing is not None
    return [section.to for section in sections_in(outgoing)]


def test_what_is_for_a_direct_connectiond_peer_goes_alone_and_by_the_direct_connection(
    boss: Multiplexer,
) -> None:
    for worker in WORKERS:
        boss.post(worker, b"hello")
    first, second = boss.collect(0.0), boss.collect(0.0)
    assert first is not None
    assert second is not None
    assert (first.is_direct, first.to, sections_of(first)) == (True, "ada", ["ada"])
    assert (second.is_direct, second.to, sections_of(second)) == (False, "bob", ["bob"])
    assert boss.collect(0.0) is None


def test_what_is_for_everyone_goes_by_the_link_and_first(boss: Multiplexer) -> None:
    boss.post("ada", b"hello")
    boss.post_datagram(EVERYONE, b"I am here")
    assert sections_of(boss.collect(0.0)) == [EVERYONE]
    wired = boss.collect(0.0)
    assert wired is not None
    assert wired.is_direct


def test_what_is_to_come_first_goes_both_ways_and_before_all_else_by_direct_connection(
    boss: Multiplexer,
) -> None:
    boss.post("ada", b"work")
    boss.post_datagram("ada", b"welcome", also_direct=True)
    boss.post_datagram("bob", b"welcome", also_direct=True)
    assert boss.next_alarm() == -math.inf
    sent = [boss.collect(0.0) for _ in range(4)]
    told = [
        (outgoing.is_direct, outgoing.to, decode_letter(section.letter).messages)
        for outgoing in sent
        if outgoing is not None
        for section in sections_in(outgoing)
    ]
    assert told == [
        (True, "ada", (b"welcome",)),
        (False, None, (b"welcome",)),
        (False, None, (b"welcome",)),
        (True, "ada", (b"work",)),
    ]


def test_what_is_to_come_first_waits_for_the_direct_connection(boss: Multiplexer) -> None:
    boss.post_datagram("bob", b"welcome", also_direct=True)
    boss.post("bob", b"one")
    first = boss.collect(0.0)
    assert first is not None
    assert not first.is_direct
    boss.post("bob", b"two")
    boss.trust_direct("bob")
    sent = [boss.collect(0.0), boss.collect(0.0)]
    told = [
        (
            outgoing.is_direct,
            decode_letter(sections_in(outgoing)[0].letter).messages,
        )
        for outgoing in sent
        if outgoing is not None
    ]
    assert told == [(True, (b"welcome",)), (True, (b"two",))]
    boss.post_datagram("cleo", b"welcome", also_direct=True)
    boss.collect(0.0)
    boss.trust_direct("cleo")
    assert boss.collect(0.0) is None


def test_what_is_late_goes_by_the_link_and_so_does_all_else_until_the_direct_connection_works(
    boss: Multiplexer,
) -> None:
    boss.post("ada", b"one")
    sent = boss.collect(0.0)
    assert sent is not None
    assert sent.is_direct
    again = boss.collect(10.0)
    assert again is not None
    assert not again.is_direct
    assert decode_letter(decode_frame(again.frame).sections[0].letter).messages == (b"one",)
    boss.post("ada", b"two")
    after = boss.collect(10.0)
    assert after is not None
    assert not after.is_direct
    boss.trust_direct("ada")
    boss.post("ada", b"three")
    works = boss.collect(10.0)
    assert works is not None
    assert works.is_direct


def test_who_is_slow_to_answer_by_direct_connection_is_sent_nothing_twice(
    boss: Multiplexer,
) -> None:
    boss.post("ada", b"one")
    assert boss.collect(0.0) is not None
    assert boss.collect(0.9 * DIRECT_RETRY_AFTER_S) is None


def test_what_was_under_way_on_a_direct_connection_that_ended_is_soon_sent_again(
    boss: Multiplexer,
) -> None:
    boss.post("ada", b"one")
    assert boss.collect(0.0) is not None
    boss.distrust_direct("ada")
    alarm = boss.next_alarm()
    assert alarm is not None
    assert alarm <= 0.3
    again = boss.collect(alarm)
    assert again is not None
    assert not again.is_direct
    assert decode_letter(decode_frame(again.frame).sections[0].letter).messages == (b"one",)


def test_a_short_segment_goes_alone_by_direct_connection_and_a_long_one_in_a_frame(
    boss: Multiplexer,
) -> None:
    ada = Multiplexer("ada")
    ada.open("boss", "boss-ada")
    for message in (b"short", b"long" * COMPRESS_ABOVE_BYTES):
        boss.post("ada", message)
        sent = boss.collect(0.0)
        assert sent is not None
        assert is_segment(sent.frame) is (message == b"short")
        (arrival,) = ada.receive(sent.frame, 0.0, from_direct="boss")
        assert (arrival.sender, arrival.messages) == ("boss", (message,))


def test_a_segment_alone_is_taken_only_from_a_direct_connection() -> None:
    letter = encode_letter(Segment("boss-ada", 0, 0, (b"hello",)))
    ada = Multiplexer("ada")
    ada.open("boss", "boss-ada")
    with pytest.raises(DecodeError) as caught:
        ada.receive(letter, 0.0)
    assert caught.value.flaw is Flaw.GARBAGE
    (arrival,) = ada.receive(letter, 0.0, from_direct="boss")
    assert arrival.messages == (b"hello",)
    assert not is_segment(encode_letter(Datagram((b"hello",))))


def test_a_broken_segment_alone_is_counted_and_ignored() -> None:
    ada = Multiplexer("ada")
    ada.open("boss", "boss-ada")
    broken = encode_letter(Segment("boss-ada", 0, 0, (b"hello",)))[:-1]
    assert ada.receive(broken, 0.0, from_direct="boss") == []
    assert ada.counters.broken_letters == 1


def test_a_direct_connection_that_ended_is_used_no_more(boss: Multiplexer) -> None:
    boss.distrust_direct("ada")
    boss.post("ada", b"hello")
    outgoing = boss.collect(0.0)
    assert outgoing is not None
    assert not outgoing.is_direct


def test_a_peer_without_a_conversation_has_nothing_due(boss: Multiplexer) -> None:
    boss.trust_direct("stranger")
    assert boss.collect(0.0) is None


class Network:
    """Two mailrooms, a link that is fair, and a wire that loses what it is told to.

    Args:
        fates: whether each frame arrives that goes by the wire, in order; after that all do.
        revives_at: at which moments something comes by the wire all the same, in seconds.
    """

    def __init__(self, fates: list[bool], revives_at: list[float]) -> None:
        self.boss, self.ada = Multiplexer("boss"), Multiplexer("ada")
        self.boss.open("ada", "talk")
        self.ada.open("boss", "talk")
        self.boss.trust_direct("ada")
        self.ada.trust_direct("boss")
        self.arrived: dict[str, list[bytes]] = {"boss": [], "ada": []}
        self.is_direct = 0
        self._fates = iter(fates)
        self._revives = sorted(revives_at)
        self._under_way: list[tuple[float, int, Multiplexer, Outgoing]] = []
        self._count = 0
        self.now = 0.0

    def run(self) -> None:
        ends = ((self.boss, self.ada), (self.ada, self.boss))
        while True:
            for end, other in ends:
                while (outgoing := end.collect(self.now)) is not None:
                    self.is_direct += outgoing.is_direct
                    if not outgoing.is_direct or next(self._fates, True):
                        self._count += 1
                        landing = (self.now + DELAY_S, self._count, other, outgoing)
                        heappush(self._under_way, landing)
            moments = [alarm for end, _ in ends if (alarm := end.next_alarm()) is not None]
            moments += [self._under_way[0][0]] if self._under_way else []
            if not moments:
                return
            self.now = max(self.now, min(moments + self._revives[:1]))
            while self._revives and self._revives[0] <= self.now:
                del self._revives[0]
                self.boss.trust_direct("ada")
                self.ada.trust_direct("boss")
            while self._under_way and self._under_way[0][0] <= self.now:
                _, _, end, outgoing = heappop(self._under_way)
                if outgoing.is_direct:
                    end.trust_direct("ada" if end is self.boss else "boss")
                other = "ada" if end is self.boss else "boss"
                from_direct = other if outgoing.is_direct else None
                arrivals = end.receive(outgoing.frame, self.now, from_direct=from_direct)
                for arrival in arrivals:
                    self.arrived[end.address] += arrival.messages


@given(
    fates=st.lists(st.booleans(), max_size=40),
    revives_at=st.lists(st.floats(0, 5), max_size=4),
    count=st.integers(1, 60),
    size=st.sampled_from([10, 5_000, 200_000]),
)
def test_whatever_a_direct_connection_loses_all_arrives_once_and_in_order(
    fates: list[bool], revives_at: list[float], count: int, size: int
) -> None:
    network = Network(fates, revives_at)
    there = [b"%06d" % number + bytes(size) for number in range(count)]
    back = [b"%06d" % number for number in range(count)]
    for forth, answer in zip(there, back, strict=True):
        network.boss.post("ada", forth)
        network.ada.post("boss", answer)
    network.run()
    assert network.arrived == {"ada": there, "boss": back}


def test_a_direct_connection_that_is_cut_from_the_start_costs_one_wait_at_either_end() -> None:
    network = Network([False] * 1_000, [])
    for number in range(100):
        network.boss.post("ada", b"%d" % number)
    network.run()
    assert len(network.arrived["ada"]) == 100
    assert network.is_direct <= 3
    assert network.now < 3.0


def test_one_section_is_one_message_for_a_direct_connectiond_peer(boss: Multiplexer) -> None:
    for number in range(3):
        boss.post("ada", b"%d" % number)
    outgoing = boss.collect(0.0)
    assert outgoing is not None
    sections = sections_in(outgoing)
    assert [type(section) for section in sections] == [Section]
    assert decode_letter(sections[0].letter).messages == (b"0", b"1", b"2")
