"""One conversation: what is delivered, when it is sent again, and what is refused."""

from __future__ import annotations

import math
import time

import pytest
from muster.agents.kernel.delivery.stream import Stream
from muster.agents.kernel.delivery.stream_limits import StreamLimits
from muster.messages import BacklogFull
from muster.messages.frame import Segment, encode_letter

LOST: tuple[float, ...] = ()
ROOM_BYTES = 65536


def segment(*messages: bytes, first: int = 0, ack: int = 0, conversation: str = "c") -> Segment:
    return Segment(conversation, first, ack, messages)


def test_messages_arrive_in_order(pair) -> None:
    for message in (b"one", b"two", b"three"):
        pair.left.post(message)
    pair.run()
    assert pair.arrived["right"] == [b"one", b"two", b"three"]


def test_messages_posted_together_share_a_segment(pair) -> None:
    pair.left.post(b"one")
    pair.left.post(b"two")
    assert pair.left.collect(0.0, ROOM_BYTES) == segment(b"one", b"two")


def test_what_was_just_posted_is_due_at_once() -> None:
    stream = Stream("c")
    stream.post(b"one")
    assert stream.due_at == -math.inf
    assert stream.due_at == -math.inf


def test_an_empty_stream_has_no_alarm() -> None:
    assert Stream("c").due_at is None


def test_a_quiet_direct_connection_stays_quiet(pair) -> None:
    pair.left.post(b"one")
    pair.run()
    assert [(at, side, len(sent.messages)) for at, side, sent in pair.sent] == [
        (0.0, "left", 1),
        (pytest.approx(0.03), "right", 0),
    ]
    assert pair.left.due_at is None
    assert pair.right.due_at is None


def test_an_acknowledgement_rides_on_an_answer(pair) -> None:
    pair.left.post(b"question")
    pair.run(until_s=0.015)
    pair.right.post(b"answer")
    pair.run(until_s=0.016)
    assert pair.sent_by("right")[0][1] == segment(b"answer", ack=1)
    assert pair.right.ack_due_at is None


def test_an_acknowledgement_goes_early_when_asked_to() -> None:
    stream = Stream("c")
    stream.accept(segment(b"one"), 0.0)
    assert stream.collect(0.0, ROOM_BYTES) is None
    assert stream.collect(0.0, ROOM_BYTES, early_ack=True) == segment(ack=1)


def test_a_quarter_of_a_window_is_acknowledged_at_once() -> None:
    stream = Stream("c", StreamLimits(window_messages=8))
    stream.accept(segment(b"one"), 0.0)
    assert stream.due_at is None or stream.due_at > 0.0
    stream.accept(segment(b"two", first=1), 0.0)
    assert stream.collect(0.0, ROOM_BYTES) == segment(ack=2)


def test_a_quarter_of_a_window_in_bytes_is_acknowledged_at_once() -> None:
    stream = Stream("c", StreamLimits(window_bytes=40))
    stream.accept(segment(b"nine byte"), 0.0)
    assert stream.due_at != -math.inf
    stream.accept(segment(b"1", first=1), 0.0)
    assert stream.collect(0.0, ROOM_BYTES) == segment(ack=2)


def test_a_stream_is_idle_once_all_is_acknowledged(pair) -> None:
    pair.left.post(b"one")
    assert (pair.left.idle, pair.left.backlog, pair.left.unacknowledged) == (False, 1, 0)
    pair.run(until_s=0.001)
    assert (pair.left.idle, pair.left.backlog, pair.left.unacknowledged) == (False, 0, 1)
    pair.run()
    assert (pair.left.idle, pair.left.backlog, pair.left.unacknowledged) == (True, 0, 0)


def test_a_lost_message_is_sent_again_at_doubling_intervals_up_to_five_seconds(
    make_pair,
) -> None:
    pair = make_pair([LOST] * 8)
    pair.left.post(b"one")
    pair.run()
    times = [at for at, _ in pair.sent_by("left")]
    assert times == pytest.approx([0.0, 0.3, 0.9, 2.1, 4.5, 9.3, 14.3, 19.3, 24.3])
    assert pair.arrived["right"] == [b"one"]


def test_the_alarm_of_a_retransmission_is_exact() -> None:
    stream = Stream("c")
    stream.post(b"one")
    stream.collect(1.0, ROOM_BYTES)
    assert stream.due_at == 1.3
    assert stream.collect(math.nextafter(1.3, 0), ROOM_BYTES) is None
    assert stream.collect(1.3, ROOM_BYTES) == segment(b"one")


def test_a_lost_acknowledgement_is_sent_again_when_the_message_is(make_pair) -> None:
    pair = make_pair([(0.01,), LOST])
    pair.left.post(b"one")
    pair.run()
    assert pair.arrived["right"] == [b"one"]
    assert pair.right.counters.duplicates == 1
    assert [at for at, _ in pair.sent_by("right")] == pytest.approx([0.03, 0.31])


def test_only_the_lost_run_is_sent_again(make_pair) -> None:
    pair = make_pair([LOST])
    for number in range(3):
        pair.left.post(b"%d" % number)
        pair.run(until_s=pair.now + 0.001)
    pair.run()
    assert pair.arrived["right"] == [b"0", b"1", b"2"]
    assert pair.left.counters.resent == 1


def test_a_second_gap_is_mended_as_soon_as_it_shows(make_pair) -> None:
    pair = make_pair([LOST, LOST])
    pair.left.post(b"0")
    pair.run(until_s=0.001)
    pair.left.post(b"1")
    pair.run()
    # Sent again at 0.3, acknowledged at 0.34; by then the second run is late as well.
    assert [at for at, _ in pair.sent_by("left")] == pytest.approx([0.0, 0.001, 0.3, 0.34])


def test_a_round_trip_shortens_the_wait_to_the_least_allowed(pair) -> None:
    pair.left.post(b"one")
    pair.run()
    assert pair.left.retry_after_s == 0.2


def test_a_slow_round_trip_lengthens_the_wait(make_pair) -> None:
    pair = make_pair([(0.1,), (0.1,)])
    pair.left.post(b"one")
    pair.run()
    # RFC 6298, first measurement of R: R + 4 (R / 2), with R = 0.1 + 0.02 + 0.1.
    assert pair.left.retry_after_s == pytest.approx(3 * 0.22)


def test_a_retransmitted_message_measures_no_round_trip(make_pair) -> None:
    pair = make_pair([LOST])
    pair.left.post(b"one")
    pair.run()
    assert pair.left.retry_after_s == 0.6


def test_losses_without_end_do_not_make_new_messages_wait_ever_longer(
    make_pair,
) -> None:
    pair = make_pair([LOST, LOST, LOST, LOST, LOST, (0.01,)])
    pair.left.post(b"one")
    pair.run()
    assert pair.left.retry_after_s == pytest.approx(4 * 0.3)


def test_a_doubled_message_is_delivered_once(make_pair) -> None:
    pair = make_pair([(0.01, 0.02)])
    pair.left.post(b"one")
    pair.run()
    assert pair.arrived["right"] == [b"one"]


def test_overtaken_messages_are_put_in_order(make_pair) -> None:
    pair = make_pair([(0.1,), (0.01,)])
    pair.left.post(b"0")
    pair.run(until_s=0.001)
    pair.left.post(b"1")
    pair.run()
    assert pair.arrived["right"] == [b"0", b"1"]
    assert pair.left.counters.resent == 0


def test_a_run_that_overlaps_what_came_early_is_delivered_once() -> None:
    stream = Stream("c")
    assert stream.accept(segment(b"1", b"2", first=1), 0.0) == []
    assert stream.accept(segment(b"0", b"1"), 0.0) == [b"0", b"1", b"2"]
    assert stream.held == 0


def test_no_more_messages_are_in_flight_than_the_window_holds() -> None:
    stream = Stream("c", StreamLimits(window_messages=3))
    for number in range(5):
        stream.post(b"%d" % number)
    assert stream.collect(0.0, ROOM_BYTES) == segment(b"0", b"1", b"2")
    assert stream.due_at is None or stream.due_at > 0.0
    stream.accept(segment(ack=1), 0.1)
    assert stream.collect(0.1, ROOM_BYTES) == segment(b"3", first=3)


def test_no_more_bytes_are_in_flight_than_the_window_holds() -> None:
    stream = Stream("c", StreamLimits(window_bytes=10))
    for _ in range(3):
        stream.post(b"12345")
    sent = stream.collect(0.0, ROOM_BYTES)
    assert sent is not None
    assert len(sent.messages) == 2


def test_a_message_larger_than_the_window_goes_alone() -> None:
    stream = Stream("c", StreamLimits(window_bytes=10))
    for message in (b"small", b"larger than the window", b"last"):
        stream.post(message)
    assert stream.collect(0.0, ROOM_BYTES) == segment(b"small")
    assert stream.due_at is None or stream.due_at > 0.0
    stream.accept(segment(ack=1), 0.1)
    assert stream.collect(0.1, ROOM_BYTES) == segment(b"larger than the window", first=1)
    assert stream.due_at is None or stream.due_at > 0.1
    stream.accept(segment(ack=2), 0.2)
    assert stream.collect(0.2, ROOM_BYTES) == segment(b"last", first=2)


def test_a_segment_fits_the_room_it_was_given() -> None:
    stream = Stream("c")
    for _ in range(100):
        stream.post(b"x" * 100)
    while (sent := stream.collect(0.0, 1000)) is not None:
        assert len(encode_letter(sent)) <= 1000
    assert stream.backlog == 0


def test_a_retransmission_fits_the_room_it_is_given() -> None:
    stream = Stream("c")
    for _ in range(100):
        stream.post(b"x" * 100)
    stream.collect(0.0, ROOM_BYTES)
    sent = stream.collect(0.3, 1000)
    assert sent is not None
    assert len(sent.messages) == 9


def test_a_message_that_is_too_long_leaves_alone_if_the_letter_may_be_that_long() -> None:
    stream = Stream("c")
    stream.post(b"x" * 5000)
    stream.post(b"y")
    assert stream.collect(0.0, 4000) is None
    assert stream.collect(0.0, 4000, largest_room_bytes=5000) is None
    assert stream.due_at == -math.inf
    assert stream.collect(0.0, 4000, largest_room_bytes=6000) == segment(b"x" * 5000)


def test_a_full_backlog_refuses_further_messages() -> None:
    stream = Stream("c", StreamLimits(backlog_messages=2))
    stream.post(b"0")
    stream.post(b"1")
    with pytest.raises(BacklogFull, match="2 messages of 2 bytes wait in conversation 'c'"):
        stream.post(b"2")
    assert stream.backlog == 2


def test_a_backlog_is_bounded_in_bytes() -> None:
    stream = Stream("c", StreamLimits(backlog_bytes=10))
    stream.post(b"12345678")
    with pytest.raises(BacklogFull):
        stream.post(b"123")


def test_segments_of_another_conversation_are_ignored() -> None:
    stream = Stream("c")
    assert stream.accept(segment(b"old", conversation="b"), 0.0) == []
    assert stream.counters.foreign_segments == 1
    assert stream.ack_due_at is None


@pytest.mark.parametrize(
    "hostile",
    [
        segment(b"x", ack=1),
        segment(b"x", ack=2**63),
        segment(b"x", first=1024),
        segment(b"x", first=2**63),
        segment(b"x", first=-1),
        segment(ack=-1),
        segment(first=1025),
        segment(*[b""] * 1025),
    ],
    ids=lambda hostile: f"{hostile.first}-{hostile.ack}-{len(hostile.messages)}",
)
def test_absurd_numbers_are_counted_and_ignored(hostile: Segment) -> None:
    stream = Stream("c")
    assert stream.accept(hostile, 0.0) == []
    assert stream.counters.absurd_segments == 1
    assert (stream.held, stream.due_at) == (0, None)


def test_early_messages_are_held_only_up_to_the_window_in_bytes() -> None:
    stream = Stream("c", StreamLimits(window_bytes=10))
    for number in range(1, 100):
        stream.accept(segment(b"12345", first=number), 0.0)
    assert stream.held == 2


def test_an_old_acknowledgement_takes_nothing_back(pair) -> None:
    for _ in range(2):
        pair.left.post(b"x")
    pair.left.collect(0.0, ROOM_BYTES)
    pair.left.accept(segment(ack=2), 0.1)
    pair.left.accept(segment(ack=1), 0.2)
    assert pair.left.idle


def test_an_acknowledgement_within_a_run_settles_that_part_of_it() -> None:
    stream = Stream("c")
    for number in range(3):
        stream.post(b"%d" % number)
    stream.collect(0.0, ROOM_BYTES)
    stream.accept(segment(ack=1), 0.1)
    assert stream.unacknowledged == 2
    assert stream.collect(0.3, ROOM_BYTES) == segment(b"1", b"2", first=1)


def test_after_an_outage_many_lost_runs_are_mended_in_a_few_round_trips(
    make_pair,
) -> None:
    pair = make_pair([LOST] * 200)
    for number in range(195):
        pair.left.post(b"%d" % number)
        pair.run(until_s=pair.now + 0.001)
    pair.run()
    assert pair.arrived["right"] == [b"%d" % number for number in range(195)]
    resent_after_outage = len(pair.sent_by("left")) - 200
    assert resent_after_outage <= 10


def test_a_hundred_thousand_messages_take_no_longer_each_than_a_few() -> None:
    left, right = Stream("c"), Stream("c")
    for _ in range(100_000):
        left.post(b"x" * 50)
    started, now, arrived = time.process_time(), 0.0, 0
    while arrived < 100_000:
        now += 0.001
        for sender, receiver in ((left, right), (right, left)):
            while (sent := sender.collect(now, ROOM_BYTES)) is not None:
                arrived += len(receiver.accept(sent, now))
    # It takes less than 0.1 s; anything that scans a queue for each message takes minutes.
    assert time.process_time() - started < 5
    assert left.counters.resent == 0
