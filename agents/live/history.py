"""How many tasks were settled by when: a bounded history that grows coarser as a run grows longer.

It is pure: samples come with their time, and nothing here knows a clock.
"""

from __future__ import annotations

from typing import NamedTuple

MAX_SAMPLES = 480
"""From so many on every second sample is given up, and the step between them doubles."""

FIRST_STEP_S = 0.25


class Sample(NamedTuple):
    """How many tasks were settled until some moment.

    Args:
        at: when, in seconds.
        completed: how many had completed.
        undone: how many had failed or were cancelled.
    """

    at: float
    completed: int
    undone: int


class History:
    """The samples of a run, from its beginning to now."""

    def __init__(self) -> None:
        self.step_s = FIRST_STEP_S
        self.samples: list[Sample] = []

    def add(self, sample: Sample) -> bool:
        """Take a sample, unless the last one is less than a step ago.

        Returns:
            Whether the history holds it now.
        """
        if self.samples and sample.at - self.samples[-1].at < self.step_s:
            return False
        self.samples.append(sample)
        if len(self.samples) >= MAX_SAMPLES:
            del self.samples[1::2]
            self.step_s *= 2
        return True
