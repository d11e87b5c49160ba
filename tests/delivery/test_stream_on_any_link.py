"""Whatever a wire does to segments, once it is fair again every message arrives once, in order."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from muster.agents.kernel.delivery.stream import Stream
from muster.agents.kernel.delivery.stream_limits import StreamLimits
from muster.messages.frame import Segment

LIMITS = StreamLimits(window_messages=8, window_bytes=64)
FATES = st.lists(st.lists(st.floats(0.0, 3.0, allow_nan=False), max_size=3), max_size=60)
MESSAGES = st.lists(
    st.tuples(st.sampled_from(["left", "right"]), st.integers(0, 100), st.floats(0.0, 2.0)),
    max_size=40,
)
BIG_NUMBERS = st.integers(-1, 20) | st.integers(2**31, 2**64)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(fates=FATES, posts=MESSAGES, room_bytes=st.integers(150, 400))
def test_every_message_arrives_exactly_once_and_in_order(
    make_pair,
    fates: Sequence[Sequence[float]],
    posts: Sequence[tuple[str, int, float]],
    room_bytes: int,
) -> None:
    pair = make_pair(fates, LIMITS, room_bytes)
    posted: dict[str, list[bytes]] = {"left": [], "right": []}
    for number, (side, size_bytes, pause_s) in enumerate(posts):
        message = b"%d:" % number + b"x" * size_bytes
        pair.ends[side].post(message)
        posted[side].append(message)
        pair.run(until_s=pair.now + pause_s)
    pair.run()
    assert pair.arrived == {"left": posted["right"], "right": posted["left"]}
    assert all(end.idle and end.held == 0 for end in pair.ends.values())
    assert all(end.due_at is None for end in pair.ends.values())
    assert pair.most_held <= LIMITS.window_messages


@settings(deadline=None)
@given(
    segments=st.lists(
        st.builds(
            Segment,
            conversation=st.sampled_from(["c", "d"]),
            first=BIG_NUMBERS,
            ack=BIG_NUMBERS,
            messages=st.lists(st.binary(max_size=20), max_size=12).map(tuple),
        ),
        max_size=40,
    )
)
def test_no_segment_makes_a_stream_raise_or_grow(segments: Sequence[Segment]) -> None:
    stream = Stream("c", LIMITS)
    stream.post(b"mine")
    for moment, hostile in enumerate(segments):
        stream.accept(hostile, float(moment))
        stream.collect(float(moment), 1000)
        assert stream.held <= LIMITS.window_messages
        assert stream.unacknowledged <= LIMITS.window_messages
