"""Notices when a skill has changed, by surprises of one sign."""

from __future__ import annotations

from math import log

from .sharpness import Sharpness

SHIFT = 2.5
"""The change of skill that is looked for, in units of skill."""

ALARM = 5.5
"""The sum of log likelihood ratios for a change from which a new worker is taken for changed."""

STEADY_RESULTS = 50.0
"""After so many results without a change, one is expected less and less."""


def weigh_change(
    sharpness: Sharpness, margin: float, variance: float, success: float, same: float
) -> tuple[float, float]:
    """What an outcome says for a change of skill by `SHIFT`: log likelihood ratios against none.

    Args:
        sharpness: how sharply success depends on skill.
        margin: the mean of skill minus difficulty.
        variance: the variance of the skill.
        success: the share of success, 0 to 1.
        same: the probability of success if nothing has changed.

    Returns:
        For a fall and for a rise.
    """
    fallen = sharpness.chance(margin - SHIFT, variance)
    risen = sharpness.chance(margin + SHIFT, variance)
    if success == 1.0:
        return log(fallen / same), log(risen / same)
    failure = 1.0 - success
    return (
        success * log(fallen / same) + failure * log((1.0 - fallen) / (1.0 - same)),
        success * log(risen / same) + failure * log((1.0 - risen) / (1.0 - same)),
    )


class ChangeDetector:
    """Page's CUSUM of log likelihood ratios, for a fall and for a rise.

    Each sum starts again from 0 when it would fall below, so that evidence from before a change
    does not hide it. A sum that reaches the threshold is an alarm (Page 1954).

    The longer nothing has changed, the more evidence a change takes. With a fixed threshold, false
    alarms would come at a fixed rate. The threshold rises with twice the logarithm of the results,
    so that the expected number of false alarms stays bounded however many results come.
    """

    __slots__ = ("fall", "results", "rise")

    def __init__(self) -> None:
        self.fall = 0.0
        self.rise = 0.0
        self.results: float = 0.0
        """How many results came since the last change."""

    def notice(self, fall: float, rise: float, results: float) -> float:
        """Add evidence; after an alarm the sums start from 0.

        Args:
            fall: the log likelihood ratio for a fall.
            rise: the log likelihood ratio for a rise.
            results: the number of results.

        Returns:
            The change of skill that it is an alarm of; 0 for none.
        """
        fall += self.fall
        rise += self.rise
        self.results += results
        threshold = ALARM + 2.0 * log(max(self.results / STEADY_RESULTS, 1.0))
        if fall >= threshold or rise >= threshold:
            self.fall = self.rise = self.results = 0.0
            return -SHIFT if fall >= rise else SHIFT
        self.fall = max(fall, 0.0)
        self.rise = max(rise, 0.0)
        return 0.0
