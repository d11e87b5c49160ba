"""The generated worlds of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from muster.agents.simulation.hidden_skills import (
    SHARPNESS,
    HiddenWorker,
    HiddenWorld,
    Outage,
    Wave,
    arrival_rate,
    make_tasks,
    mixed_cast,
    without_fall,
)
from muster.messages import Task

EARLIER_TASKS = 200
OUTAGE_EVERY_S = 15.0
OUTAGE_S = 4.0
TIMEOUT_S = 8.0


def batch_world(
    seed: int, cast: Sequence[HiddenWorker], count: int, earlier: int, max_attempts: int = 1
) -> HiddenWorld:
    """Tasks that are all there at once, after earlier ones that streamed in."""
    first = make_tasks(seed, earlier)
    then = make_tasks(seed, count, earlier + 1, max_attempts=max_attempts)
    waves = (Wave(first, arrival_rate(cast)), Wave(then))
    return HiddenWorld(seed, tuple(without_fall(cast)), waves, SHARPNESS)


def with_outages(world: HiddenWorld, lasts_s: float) -> HiddenWorld:
    """The same world, in which one worker after the other is lost for a while."""
    names = [worker.name for worker in world.workers]
    outages = tuple(
        Outage(names[number % len(names)], OUTAGE_EVERY_S * (number + 1), OUTAGE_S)
        for number in range(int(lasts_s / OUTAGE_EVERY_S))
    )
    return replace(world, outages=outages)


def with_hanging(world: HiddenWorld) -> HiddenWorld:
    """The same world, in which two workers hang until the timeout where they would fail."""
    workers = tuple(
        replace(worker, hangs=worker.name in ("says_9_is_4", "fast_bad"))
        for worker in world.workers
    )
    waves = tuple(
        replace(
            wave,
            tasks=tuple(task.model_copy(update={"timeout": TIMEOUT_S}) for task in wave.tasks),
        )
        for wave in world.waves
    )
    return replace(world, workers=workers, waves=waves)


def black_hole_world(seed: int, count: int) -> HiddenWorld:
    """Tasks of one type, a worker that does them, and one that fails each of them at once."""
    cast = (
        HiddenWorker("black_hole", 6, 7.0, broken_types=("code",)),
        HiddenWorker("other", 8, 8.0),
    )
    tasks = tuple(
        task.model_copy(update={"difficulty": 1 + task.difficulty % 6})
        for task in make_tasks(seed, count, types=("code",))
    )
    return HiddenWorld(seed, cast, (Wave(tasks),))


def costly_world(seed: int, count: int) -> HiddenWorld:
    """Tasks with three attempts each that stream in to workers with different costs."""
    cast = without_fall(mixed_cast())
    tasks: tuple[Task, ...] = make_tasks(seed, count, max_attempts=3)
    return HiddenWorld(seed, cast, (Wave(tasks, arrival_rate(cast, 0.4)),))
