"""The generated worlds of the rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from muster.agents.simulation.hidden_skills import (
    SHARPNESS,
    TYPES,
    HiddenWorker,
    HiddenWorld,
    Outage,
    Wave,
    arrival_rate,
    make_tasks,
    mixed_cast,
    seeded,
)
from muster.messages import Task

EARLIER_TASKS = 200
OUTAGE_EVERY_S = 15.0
OUTAGE_S = 4.0
TIMEOUT_S = 8.0


def without_fall(cast: Sequence[HiddenWorker]) -> tuple[HiddenWorker, ...]:
    """The same workers, of which none changes."""
    return tuple(replace(worker, falls_to=None) for worker in cast)


def declaring(cast: Sequence[HiddenWorker], level: int) -> tuple[HiddenWorker, ...]:
    """The same workers, all of which declare the same skill and no specialty."""
    return tuple(replace(worker, declared=level, specialties=()) for worker in cast)


def with_slots(cast: Sequence[HiddenWorker], slots: int) -> tuple[HiddenWorker, ...]:
    """The same workers with other slots."""
    return tuple(replace(worker, slots=slots) for worker in cast)


def drawn_cast(seed: int, count: int = 8) -> tuple[HiddenWorker, ...]:
    """Workers drawn by chance: half say nearly what they are."""
    luck = seeded(seed, "cast")
    cast: list[HiddenWorker] = []
    for number in range(1, count + 1):
        skill = luck.uniform(2.0, 9.5)
        by_type = {each: min(10.0, max(0.0, skill + luck.gauss(0.0, 1.5))) for each in TYPES}
        error = luck.gauss(0.0, 0.7 if luck.random() < 0.5 else 3.0)
        declared = min(10, max(1, round(skill + error)))
        best = max(TYPES, key=lambda each: by_type[each])
        specialties = (best,) if luck.random() < 0.3 else ()
        pace_s = math.exp(luck.gauss(math.log(2.0), 0.5))
        cast.append(
            HiddenWorker(f"w{number}", declared, skill, specialties, by_type, pace_s=pace_s)
        )
    # Somebody declares enough for every task, so that policies that heed it are not stuck.
    top = max(cast, key=lambda each: each.declared)
    return tuple(replace(each, declared=9) if each is top else each for each in cast)


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
