"""How many workers there should be: a pure decision, which does not flutter.

Between the load at which workers are added and the one at which they are let go lies a gap, so
that neither step calls for the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from ...messages import InvalidInput, TaskStatus
from .board_state import BoardState
from .matching import describe_standing

SHRINK_BELOW = 0.5
"""Workers are let go when the load is below this share of the target."""


class Step(str, Enum):
    """What to do about the number of workers."""

    GROW = "grow"
    SHRINK = "shrink"
    STAY = "stay"


@dataclass(frozen=True, slots=True)
class Bounds:
    """How few and how many workers there may be.

    Args:
        minimum: never fewer, 0 or more.
        maximum: never more, 1 or more.

    Raises:
        InvalidInput: one of them is out of range, or the minimum is above the maximum.
    """

    minimum: int
    maximum: int

    def __post_init__(self) -> None:
        if self.minimum < 0:
            raise InvalidInput(f"minimum is {self.minimum}; it must be 0 or more")
        if self.maximum < max(self.minimum, 1):
            raise InvalidInput(
                f"maximum is {self.maximum}; it must be 1 or more, and not below the minimum "
                f"of {self.minimum}"
            )


def measure_load(board: BoardState) -> float:
    """The work there is for each slot of the connected workers.

    Returns:
        The tasks that are in progress or ready to start, divided by the slots. 1 means that all
        slots are taken and nothing waits. It is infinite where work waits and nobody is there,
        and 0 where there is no work.
    """
    # Who is in quarantine does nothing, and who retires is as good as gone.
    at_work = (each for each in board.queue.workers if describe_standing(each) is None)
    slots = sum(worker.slots for worker in at_work)
    wanted = board.counts[TaskStatus.IN_PROGRESS] + board.queue.count
    if not wanted:
        return 0.0
    return wanted / slots if slots else math.inf


def decide(current_load: float, workers: int, bounds: Bounds, target_load: float) -> Step:
    """Whether a worker should be added or let go.

    Args:
        current_load: the load, as `measure_load` has it.
        workers: how many there are, those on their way counted.
        bounds: how few and how many there may be.
        target_load: above this load a worker is added; below half of it one is let go.

    Raises:
        InvalidInput: the target is not above 0, or the load is below 0.
    """
    if not (target_load > 0 and math.isfinite(target_load)):
        raise InvalidInput(f"target_load is {target_load}; it must be above 0")
    if not current_load >= 0:
        raise InvalidInput(f"current_load is {current_load}; it must be 0 or more")
    if workers < bounds.minimum:
        return Step.GROW
    if workers > bounds.maximum:
        return Step.SHRINK
    if current_load > target_load and workers < bounds.maximum:
        return Step.GROW
    if current_load < target_load * SHRINK_BELOW and workers > bounds.minimum:
        return Step.SHRINK
    return Step.STAY
