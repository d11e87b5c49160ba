"""How many tasks were settled over time: a history of bounded size, coarser for longer runs.

It is pure: samples contain their time, and it reads no clock.
"""

from __future__ import annotations

from typing import NamedTuple

MAX_SAMPLES = 480
"""At this number every second sample is removed, and the step between samples doubles."""

FIRST_STEP_S = 0.25


class Sample(NamedTuple):
    """How many tasks were settled at some time.

    Args:
        at: when, in seconds.
        completed: how many had completed.
        undone: how many had failed or were cancelled.
    """

    at: float
    completed: int
    undone: int


class History:
    """The samples of a run from its start to now."""

    def __init__(self) -> None:
        self.step_s = FIRST_STEP_S
        self.samples: list[Sample] = []

    def add(self, sample: Sample) -> bool:
        """Add a sample, unless the last one is less than a step old.

        Returns:
            Whether it was added.
        """
        if self.samples and sample.at - self.samples[-1].at < self.step_s:
            return False
        self.samples.append(sample)
        if len(self.samples) >= MAX_SAMPLES:
            del self.samples[1::2]
            self.step_s *= 2
        return True
