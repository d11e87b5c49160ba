"""What is measured on a played world."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from muster.agents.simulation.hidden_skills_run import PlayedAttempt, PlayedWorld

BINS = 10


def expected_successes(attempts: Sequence[PlayedAttempt]) -> float:
    """The sum of the true chances: the successes without luck."""
    return sum(attempt.chance for attempt in attempts)


def between(attempts: Sequence[PlayedAttempt], first: int, last: int) -> list[PlayedAttempt]:
    """The attempts at the tasks with these numbers."""
    return [each for each in attempts if first <= int(each.task.id) <= last]


def span_over_bound(played: PlayedWorld, wave: int) -> float:
    """How long a wave took, over the time that its attempts take if no slot is ever idle."""
    world = played.world
    attempts = played.of_wave(wave)
    # What a worker that fails at once leaves undone is no work.
    real = [each for each in attempts if each.task.type not in each.worker.broken_types]
    at_once = sum(worker.slots / worker.pace_s for worker in world.workers)
    return played.span_s(wave) / (len(real) / at_once)


def busy_share(attempts: Sequence[PlayedAttempt], slots: int) -> float:
    """The share of their time for which slots have work while tasks always wait.

    Args:
        attempts: attempts that began one after the other, some hundreds of them.
        slots: how many slots there are.
    """
    lasted_s = attempts[-1].started_at - attempts[0].started_at
    return min(sum(each.busy_s for each in attempts) / (lasted_s * slots), 1.0)


def wait_s(played: PlayedWorld, attempts: Sequence[PlayedAttempt]) -> float:
    """How long tasks waited for their first attempt on average, in seconds."""
    return statistics.fmean(
        each.started_at - played.added_at[each.task.id] for each in attempts if each.number == 1
    )


def calibration_error(predicted: Sequence[tuple[float, float]]) -> float:
    """The expected calibration error of predictions.

    Args:
        predicted: pairs of a predicted chance and what came (1 or 0).
    """
    error = 0.0
    for low in range(BINS):
        inside = [(p, y) for p, y in predicted if min(int(p * BINS), BINS - 1) == low]
        if inside:
            gap = statistics.fmean(p for p, _ in inside) - statistics.fmean(y for _, y in inside)
            error += len(inside) / len(predicted) * abs(gap)
    return error
