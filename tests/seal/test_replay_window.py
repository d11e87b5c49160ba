"""The window accepts each number once, and none that is too old to tell."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from muster.agents.kernel.security.peer_sessions import WINDOW_COUNTERS, ReplayWindow

near = st.integers(0, 40) | st.integers(WINDOW_COUNTERS - 3, WINDOW_COUNTERS + 40)


@given(st.lists(near | st.integers(0, 2**64 - 1), max_size=60), st.integers(0, 50))
def test_it_accepts_what_a_set_of_all_numbers_seen_would(
    numbers: Sequence[int], floor: int
) -> None:
    window = ReplayWindow(floor)
    seen: set[int] = set()
    highest = floor
    for number in numbers:
        is_new = number > floor and number not in seen and number > highest - WINDOW_COUNTERS
        assert window.accept(number) is is_new
        if is_new:
            seen.add(number)
            highest = max(highest, number)


def test_numbers_in_any_order_within_the_window_are_accepted_once() -> None:
    window = ReplayWindow()
    backwards = range(WINDOW_COUNTERS, 0, -1)
    assert [window.accept(number) for number in backwards] == [True] * WINDOW_COUNTERS
    assert [window.accept(number) for number in backwards] == [False] * WINDOW_COUNTERS


def test_at_its_edge_the_oldest_number_in_the_window_is_accepted_and_the_one_below_is_not() -> None:
    for oldest, accepted in ((2, True), (1, False)):
        window = ReplayWindow()
        assert window.accept(WINDOW_COUNTERS + 1)
        assert window.accept(oldest) is accepted


def test_after_a_leap_beyond_the_window_everything_before_counts_as_too_old() -> None:
    window = ReplayWindow()
    assert window.accept(1)
    assert window.accept(10 * WINDOW_COUNTERS)
    assert not window.accept(2)
    assert not window.accept(10 * WINDOW_COUNTERS)
    assert window.accept(9 * WINDOW_COUNTERS + 1)
