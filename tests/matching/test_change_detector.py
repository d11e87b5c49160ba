"""A change of a worker is noticed soon, and luck is hardly ever taken for one."""

from __future__ import annotations

import random

import pytest
from muster.agents.kernel.matching.scorecards.change_detector import ChangeDetector, weigh_change
from muster.agents.kernel.matching.scorecards.sharpness import Sharpness

MARGIN, VARIANCE = 1.5, 0.3


def count_alarms(detector: ChangeDetector, luck: random.Random, margin: float, count: int) -> int:
    """How many alarms results at a margin raise, where `MARGIN` is expected."""
    sharpness = Sharpness()
    likely = sharpness.chance(margin, VARIANCE)
    same = sharpness.chance(MARGIN, VARIANCE)
    weighed = [weigh_change(sharpness, MARGIN, VARIANCE, float(each), same) for each in (0, 1)]
    return sum(bool(detector.notice(*weighed[luck.random() < likely], 1.0)) for _ in range(count))


def test_many_thousand_results_of_steady_workers_raise_hardly_an_alarm():
    alarms = [
        count_alarms(ChangeDetector(), random.Random(seed), MARGIN, 5_000) for seed in range(8)
    ]
    assert sum(alarms) <= 3


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("earlier", [30, 3_000])
def test_a_fall_is_noticed_within_60_results(seed, earlier):
    detector, luck = ChangeDetector(), random.Random(seed)
    count_alarms(detector, luck, MARGIN, earlier)
    assert count_alarms(detector, luck, MARGIN - 4.0, 60)
