"""How fast frames may follow each other."""

from __future__ import annotations

import pytest
from muster.agents.kernel.delivery.pace import LONGEST_REST_S, USUAL_ROUND_TRIP_S, Pace


def test_a_quick_network_needs_no_rest() -> None:
    pace = Pace()
    assert pace.learn(USUAL_ROUND_TRIP_S) == 0.0


def test_a_slow_peer_is_heeded_at_once() -> None:
    pace = Pace()
    assert pace.learn(0.5) == pytest.approx(0.2)


def test_a_rest_is_bounded() -> None:
    pace = Pace()
    assert pace.learn(60.0) == LONGEST_REST_S


def test_a_slow_peer_is_forgotten_as_others_are_quick() -> None:
    pace = Pace()
    pace.learn(2.0)
    rests_s = [pace.learn(0.01) for _ in range(40)]
    assert rests_s[0] > 0.5 * LONGEST_REST_S
    assert rests_s[-1] == 0.0
