"""How fast frames may follow each other."""

from __future__ import annotations

import pytest
from muster.agents.kernel.delivery.pace import LONGEST_REST_S, USUAL_ROUND_TRIP_S, Pace


def test_a_quick_network_needs_no_rest() -> None:
    pace = Pace()
    assert pace.rest_s == 0.0
    pace.learn(USUAL_ROUND_TRIP_S)
    assert pace.rest_s == 0.0


def test_a_slow_peer_is_heeded_at_once() -> None:
    pace = Pace()
    pace.learn(0.5)
    assert pace.rest_s == pytest.approx(0.2)


def test_a_rest_is_bounded() -> None:
    pace = Pace()
    pace.learn(60.0)
    assert pace.rest_s == LONGEST_REST_S


def test_a_slow_peer_is_forgotten_as_others_are_quick() -> None:
    pace = Pace()
    pace.learn(2.0)
    for _ in range(40):
        pace.learn(0.01)
    assert pace.rest_s == 0.0
