"""How long to wait for an acknowledgement."""

from __future__ import annotations

import pytest
from muster.agents.kernel.delivery.timing import RetryTimer


def make_timer() -> RetryTimer:
    return RetryTimer(first_s=0.3, shortest_s=0.2, longest_s=5.0)


def test_the_first_wait_is_the_one_given() -> None:
    assert make_timer().retry_after_s == 0.3


def test_the_first_round_trip_sets_wait_and_variation() -> None:
    timer = make_timer()
    timer.measure(0.5)
    assert timer.retry_after_s == pytest.approx(0.5 + 4 * 0.25)


def test_further_round_trips_are_smoothed() -> None:
    timer = make_timer()
    timer.measure(0.8)
    timer.measure(0.4)
    smoothed_s = 7 / 8 * 0.8 + 1 / 8 * 0.4
    variation_s = 3 / 4 * 0.4 + 1 / 4 * 0.4
    assert timer.retry_after_s == pytest.approx(smoothed_s + 4 * variation_s)


def test_the_wait_stays_within_its_bounds() -> None:
    timer = make_timer()
    timer.measure(0.001)
    assert timer.retry_after_s == 0.2
    timer.measure(60.0)
    assert timer.retry_after_s == 5.0


def test_backing_off_doubles_up_to_the_longest_wait() -> None:
    timer = make_timer()
    assert timer.back_off(0.3) == 0.6
    assert timer.back_off(4.0) == 5.0


def test_a_wait_that_was_long_enough_is_kept_until_a_round_trip_is_measured() -> None:
    timer = make_timer()
    timer.keep(0.6, round_trip_at_least_s=0.01)
    assert timer.retry_after_s == 0.6
    timer.measure(0.01)
    assert timer.retry_after_s == 0.2


def test_no_more_than_two_doublings_are_kept() -> None:
    timer = make_timer()
    timer.keep(4.8, round_trip_at_least_s=0.01)
    assert timer.retry_after_s == pytest.approx(1.2)


def test_a_round_trip_that_must_have_grown_is_learned_from_a_resent_run() -> None:
    timer = make_timer()
    timer.measure(0.01)
    timer.keep(0.2, round_trip_at_least_s=1.0)
    assert timer.retry_after_s > 1.0


def test_a_first_wait_that_is_always_too_short_is_outgrown_by_resent_runs_alone() -> None:
    timer = make_timer()
    round_trip_s = 4.0
    for _ in range(5):
        wait_s, sent_at = timer.retry_after_s, 0.0
        while sent_at + wait_s < round_trip_s:
            sent_at += wait_s
            wait_s = timer.back_off(wait_s)
        timer.keep(wait_s, round_trip_at_least_s=round_trip_s - sent_at)
    assert timer.retry_after_s > round_trip_s
