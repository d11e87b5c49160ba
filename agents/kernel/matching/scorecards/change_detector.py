"""Notices when a skill has changed, by surprises of one sign."""

from __future__ import annotations

from math import log
from typing import NamedTuple

from .sharpness import Sharpness

SHIFT = 2.5
"""The change of skill that is looked for, in units of skill."""


class Evidence(NamedTuple):
    """What one outcome says for a change: log likelihood ratios against no change.

    Args:
        success_fallen: of a success, if the skill has fallen.
        failure_fallen: of a failure, if the skill has fallen.
        success_risen: of a success, if the skill has risen.
        failure_risen: of a failure, if the skill has risen.
    """

    success_fallen: float
    failure_fallen: float
    success_risen: float
    failure_risen: float


def weigh_change(sharpness: Sharpness, margin: float, variance: float) -> Evidence:
    """What an outcome would say for a change of skill by `SHIFT`.

    Args:
        sharpness: how sharply success depends on skill.
        margin: the mean of skill minus difficulty.
        variance: the variance of the skill.
    """
    same = sharpness.chance(margin, variance)
    fallen = sharpness.chance(margin - SHIFT, variance)
    risen = sharpness.chance(margin + SHIFT, variance)
    return Evidence(
        log(fallen / same),
        log((1.0 - fallen) / (1.0 - same)),
        log(risen / same),
        log((1.0 - risen) / (1.0 - same)),
    )


class ChangeDetector:
    """Page's CUSUM of log likelihood ratios, for a fall and for a rise.

    Each sum starts again from 0 when it would fall below, so that evidence from before a change
    does not hide it. A sum that reaches the threshold is an alarm (Page 1954).

    Args:
        threshold: the sum of log likelihood ratios that is an alarm.
    """

    __slots__ = ("fall", "rise", "threshold")

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.fall = 0.0
        self.rise = 0.0

    def notice(self, evidence: Evidence, success: float) -> bool:
        """Add the evidence of one outcome; after an alarm the sums start from 0.

        Args:
            evidence: what outcomes say for a change.
            success: the share of success, 0 to 1.

        Returns:
            Whether it is an alarm.
        """
        failure = 1.0 - success
        fall = self.fall + success * evidence[0] + failure * evidence[1]
        rise = self.rise + success * evidence[2] + failure * evidence[3]
        if fall >= self.threshold or rise >= self.threshold:
            self.fall = self.rise = 0.0
            return True
        self.fall = max(0.0, fall)
        self.rise = max(0.0, rise)
        return False

    def reset(self) -> None:
        """Start again, as after an alarm."""
        self.fall = self.rise = 0.0
