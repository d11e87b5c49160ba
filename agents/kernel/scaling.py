"""Decides how many workers to add or retire, without oscillation.

Workers are added above one load and retired below a lower one, so that neither step causes the
other. A worker that was needed recently is not retired, so a varying load does not constantly start
and stop workers.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from ...messages import InvalidInput, TaskStatus
from .board.state import BoardState
from .matching.limited_tasks import count_startable
from .matching.policies import describe_unavailability

SHRINK_BELOW = 0.5
"""Workers are retired when the load is below this share of the target."""


class Step(str, Enum):
    """The action on the number of workers."""

    GROW = "grow"
    SHRINK = "shrink"
    STAY = "stay"


@dataclass(frozen=True, slots=True)
class Bounds:
    """The minimum and maximum number of workers.

    Args:
        minimum: the minimum, 0 or more.
        maximum: the maximum, 1 or more.

    Raises:
        InvalidInput: a bound is out of range, or the minimum is above the maximum.
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


class ScalingLoad(NamedTuple):
    """The numbers of tasks and slots.

    Args:
        tasks: the number of tasks that are in progress or ready to start.
        slots: the number of tasks that the connected workers can run at once.
    """

    tasks: int
    slots: int

    @property
    def load(self) -> float:
        """The number of tasks per slot.

        1 means that all slots are taken and no task waits. It is infinite if tasks wait and there
        are no slots, and 0 if there are no tasks.
        """
        if not self.tasks:
            return 0.0
        return self.tasks / self.slots if self.slots else math.inf


def measure_workload(board: BoardState) -> ScalingLoad:
    """Measure the current load of a board."""
    # Workers in quarantine and retiring workers get no tasks.
    at_work = (each for each in board.queue.workers if describe_unavailability(each) is None)
    slots = sum(worker.slots for worker in at_work)
    # More workers would not help tasks that limits hold back.
    ready = count_startable(board.queue, board.context.now)
    return ScalingLoad(board.counts[TaskStatus.IN_PROGRESS] + ready, slots)


def decide(current_load: float, workers: int, bounds: Bounds, target_load: float) -> Step:
    """Whether a worker should be added or retired.

    Args:
        current_load: the load, see `ScalingLoad.load`.
        workers: the number of workers, including starting ones.
        bounds: the minimum and maximum number of workers.
        target_load: above this load a worker is added; below half of it one is retired.

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


class Scaler:
    """Decides at each measurement how many workers should be added or retired.

    Workers are added as soon as the load is above the target; their number is doubled at most. One
    is retired when the highest load of the whole cool-down was below half of the target, and would
    not be above the target without it. So work that returns within the cool-down finds its workers.

    Args:
        bounds: the minimum and maximum number of workers.
        target_load: the load above which workers are added.
        cool_down_s: how long a worker must be unneeded before it is retired, in seconds.

    Raises:
        InvalidInput: an argument is out of range.
    """

    def __init__(self, bounds: Bounds, target_load: float, cool_down_s: float) -> None:
        decide(0.0, bounds.minimum, bounds, target_load)
        if not (cool_down_s >= 0 and math.isfinite(cool_down_s)):
            raise InvalidInput(f"cool_down_s is {cool_down_s}; it must be 0 or more")
        self._bounds = bounds
        self._target_load = target_load
        self._cool_down_s = cool_down_s
        self._since: float | None = None
        # The peaks of the cool-down, each lower than the one before; at most one per measurement.
        self._peaks: deque[tuple[float, int]] = deque()

    def advise(self, workload: ScalingLoad, workers: int, on_their_way: int, now: float) -> int:
        """Decide from a measurement of the load.

        Args:
            workload: the tasks, and the slots of all connected workers.
            workers: the number of workers started by this scaler, including starting ones.
            on_their_way: how many of these have not joined yet.
            now: the time in seconds; never less than before.

        Returns:
            The number of workers to add; -1 to retire one, if one has no running tasks.
        """
        self._note(workload.tasks, now)
        minimum, maximum = self._bounds.minimum, self._bounds.maximum
        if workers < minimum:
            return minimum - workers
        if workload.load > self._target_load:
            # The slots of starting workers are not known yet.
            wanted = 0 if on_their_way else self._count_lacking(workload, workers)
            coming = min(wanted, max(workers, 1), maximum - workers)
            if coming > 0:
                self._since = now
                return coming
        if workers > maximum or (workers > minimum and self._can_do_with_fewer(workload, workers)):
            return -1 if now - (self._since or 0.0) >= self._cool_down_s else 0
        return 0

    def _note(self, tasks: int, now: float) -> None:
        if self._since is None:
            self._since = now
        peaks = self._peaks
        while peaks and peaks[-1][1] <= tasks:
            peaks.pop()
        peaks.append((now, tasks))
        while peaks[0][0] < now - self._cool_down_s:
            peaks.popleft()

    def _count_lacking(self, workload: ScalingLoad, workers: int) -> int:
        if not workload.slots:
            return 1
        lacking_slots = workload.tasks / self._target_load - workload.slots
        return math.ceil(lacking_slots / _slots_each(workload, workers))

    def _can_do_with_fewer(self, workload: ScalingLoad, workers: int) -> bool:
        most = self._peaks[0][1]
        slots_left = workload.slots - _slots_each(workload, workers)
        return (
            most <= self._target_load * max(slots_left, 0)
            and most <= self._target_load * SHRINK_BELOW * workload.slots
        )


def _slots_each(workload: ScalingLoad, workers: int) -> int:
    # Other workers may have different slots; the next measurements correct that.
    return max(workload.slots // max(workers, 1), 1)
