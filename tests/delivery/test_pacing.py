"""How fast frames may follow each other."""

from __future__ import annotations

import pytest
from muster.agents.kernel.delivery.timing import (
    MAX_PACING_DELAY_S,
    USUAL_ROUND_TRIP_S,
    Pacing,
    RetryTimer,
)


def test_a_fast_network_needs_no_delay() -> None:
    pacing = Pacing()
    pacing.learn(USUAL_ROUND_TRIP_S)
    assert pacing.delay_s == 0.0


def test_a_slow_peer_counts_at_once() -> None:
    pacing = Pacing()
    pacing.learn(0.5)
    assert pacing.delay_s == pytest.approx(0.2)


def test_the_delay_is_bounded() -> None:
    pacing = Pacing()
    pacing.learn(60.0)
    assert pacing.delay_s == MAX_PACING_DELAY_S


def test_a_slow_peer_is_forgotten_as_others_are_fast() -> None:
    pacing = Pacing()
    pacing.learn(2.0)
    delays_s: list[float] = []
    for _ in range(40):
        pacing.learn(0.01)
        delays_s.append(pacing.delay_s)
    assert delays_s[0] > 0.5 * MAX_PACING_DELAY_S
    assert delays_s[-1] == 0.0


def test_every_measured_round_trip_sets_the_pace() -> None:
    pacing = Pacing()
    RetryTimer(0.3, 0.2, 5.0, pacing).measure(0.5)
    assert pacing.delay_s == pytest.approx(0.2)
