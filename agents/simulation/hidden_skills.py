"""Worlds to measure matching on: workers with hidden true skills, and tasks that show them.

Whether an attempt succeeds is drawn with luck that depends only on the seed, the task, the worker
and the attempt. So every policy meets the same world, whatever it decides.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ...messages import Task

TYPES = ("code", "text", "vision", "math")
"""The task types of the generated worlds."""

SHARPNESS = 0.7
"""How strongly one level of skill above the difficulty raises the logit of success."""

LOAD = 0.6
"""The share of all slots' time that tasks take which stream in."""

FALL_AT = 200
"""The task after which the worker that falls has its lower skill."""

_FAILS_IN_S = 0.1
_SPREAD = 0.25


@dataclass(frozen=True, slots=True)
class HiddenWorker:
    """A worker with what it declares and what it is.

    Args:
        name: its name.
        declared: the skill level that it declares.
        skill: its true skill, on the scale of difficulties.
        specialties: the task types in which it declares to specialise.
        skill_by_type: its true skill at some types, in place of `skill`.
        pace_s: how long it takes for a task on average, in seconds.
        broken_types: the task types that it always fails, after 0.1 s.
        falls_to: its true skill from `FALL_AT` on; None if it stays what it is.
        slots: how many tasks it runs at once.
        cost_per_task: what each attempt costs.
        hangs: whether an attempt that would fail goes on until its timeout.
    """

    name: str
    declared: int
    skill: float
    specialties: tuple[str, ...] = ()
    skill_by_type: Mapping[str, float] = field(default_factory=dict[str, float])
    pace_s: float = 2.0
    broken_types: tuple[str, ...] = ()
    falls_to: float | None = None
    slots: int = 1
    cost_per_task: float = 0.0
    hangs: bool = False


class Draw(NamedTuple):
    """What luck makes of an attempt.

    Args:
        succeeds: whether it succeeds.
        lasts_s: how long it takes, in seconds.
    """

    succeeds: bool
    lasts_s: float


class Outage(NamedTuple):
    """A time for which a worker is gone; what it runs then is lost.

    Args:
        worker: the worker's name.
        begins_at: when it is killed, in seconds.
        lasts_s: how long it stays away, in seconds.
    """

    worker: str
    begins_at: float
    lasts_s: float


@dataclass(frozen=True, slots=True)
class Wave:
    """Tasks that arrive together or one after another.

    Args:
        tasks: the tasks in the order in which they arrive.
        rate: how many arrive a second on average, at random moments; None: all at once.
        backlog: how many are unsettled at a time at most; the next arrives when one is settled.
            None: any number.
    """

    tasks: tuple[Task, ...]
    rate: float | None = None
    backlog: int | None = None


@dataclass(frozen=True)
class HiddenWorld:
    """Workers, tasks, and the chance that each worker has at each task.

    Args:
        seed: the seed of everything drawn.
        workers: the workers in the order in which they join.
        waves: the waves of tasks; each begins when all tasks of the one before are settled.
        sharpness: the factor from a level of skill to the logit of success; infinite: a task
            succeeds exactly if the skill reaches its difficulty.
        outages: when workers are gone.
    """

    seed: int
    workers: tuple[HiddenWorker, ...]
    waves: tuple[Wave, ...]
    sharpness: float = SHARPNESS
    outages: tuple[Outage, ...] = ()

    @property
    def tasks(self) -> list[Task]:
        """All tasks in the order of adding."""
        return [task for wave in self.waves for task in wave.tasks]

    def era(self, task: Task) -> int:
        """Which of the times of constant skills a task belongs to."""
        return int(isinstance(task.id, int) and task.id > FALL_AT)

    def kind(self, task: Task) -> Hashable:
        """The kind of a task; tasks of one kind and era have the same chances and durations."""
        return task.type, task.difficulty

    def skill(self, worker: HiddenWorker, task: Task) -> float:
        """A worker's true skill at a task."""
        if worker.falls_to is not None and self.era(task):
            return worker.falls_to
        return worker.skill_by_type.get(task.type, worker.skill)

    def chance(self, worker: HiddenWorker, task: Task) -> float:
        """The true chance that a worker's attempt at a task succeeds, 0 to 1."""
        if task.type in worker.broken_types:
            return 0.0
        above = self.skill(worker, task) - task.difficulty
        if math.isinf(self.sharpness):
            return float(above >= 0)
        return 1.0 / (1.0 + math.exp(-self.sharpness * above))

    def expected_s(self, worker: HiddenWorker, task: Task) -> float:
        """How long a worker takes for a task on average, in seconds."""
        if task.type in worker.broken_types:
            return _FAILS_IN_S
        if worker.hangs and task.timeout is not None:
            chance = self.chance(worker, task)
            return chance * worker.pace_s + (1.0 - chance) * task.timeout
        return worker.pace_s

    def draw(self, worker: HiddenWorker, task: Task, attempt: int) -> Draw:
        """What luck makes of an attempt; the same for every policy."""
        luck = seeded(self.seed, task.id, worker.name, attempt)
        succeeds = luck.random() < self.chance(worker, task)
        if task.type in worker.broken_types:
            return Draw(succeeds, _FAILS_IN_S)
        if worker.hangs and task.timeout is not None and not succeeds:
            return Draw(succeeds, 2.0 * task.timeout)
        return Draw(succeeds, worker.pace_s * math.exp(luck.gauss(0.0, _SPREAD) - _SPREAD**2 / 2))

    def arrivals(self, wave: int) -> list[float]:
        """When the tasks of a wave arrive, in seconds after it began."""
        rate = self.waves[wave].rate
        if rate is None:
            return [0.0] * len(self.waves[wave].tasks)
        luck = seeded(self.seed, "arrivals", wave)
        moments: list[float] = []
        at = 0.0
        for _ in self.waves[wave].tasks:
            at += luck.expovariate(rate)
            moments.append(at)
        return moments


def seeded(*key: object) -> random.Random:
    """Luck that depends only on the key."""
    digest = hashlib.blake2b("/".join(map(str, key)).encode(), digest_size=8).digest()
    return random.Random(int.from_bytes(digest, "big"))  # noqa: S311 - reproducible, no secret


# ---------------------------------------------------------------------------- casts


def mixed_cast() -> tuple[HiddenWorker, ...]:
    """Eight workers, most of which are not what they say.

    Declarations, paces and order were chosen so that the built-in policies come to the figures
    that were measured before any policy learned.
    """
    return (
        HiddenWorker("fast_bad", 8, 3.5, pace_s=1.2, cost_per_task=1.0),
        HiddenWorker("broken_on_code", 8, 7.0, broken_types=("code",), cost_per_task=3.0),
        HiddenWorker("says_9_is_4", 9, 4.0, pace_s=3.5, cost_per_task=5.0),
        HiddenWorker("says_3_is_8", 3, 8.0, cost_per_task=1.0),
        HiddenWorker("honest", 8, 8.5, cost_per_task=5.0),
        HiddenWorker("slow_good", 8, 9.0, pace_s=5.0, cost_per_task=3.0),
        HiddenWorker("specialist", 6, 5.0, ("vision",), {"vision": 8.0}, cost_per_task=2.0),
        HiddenWorker("falls", 8, 8.0, falls_to=3.0, cost_per_task=4.0),
    )


# ---------------------------------------------------------------------------- tasks


def make_tasks(
    seed: int, count: int, first: int = 1, types: Sequence[str] = TYPES, *, max_attempts: int = 1
) -> tuple[Task, ...]:
    """Tasks of all types and of difficulties from 1 to 9, drawn by chance."""
    luck = seeded(seed, "tasks", first)
    return tuple(
        Task(
            id=number,
            description="drawn by chance",
            type=luck.choice(types),
            difficulty=luck.randint(1, 9),
            max_attempts=max_attempts,
        )
        for number in range(first, first + count)
    )


def arrival_rate(cast: Sequence[HiddenWorker], load: float = LOAD) -> float:
    """How many tasks a second take this share of all slots' time."""
    return load * sum(worker.slots / worker.pace_s for worker in cast)


def streaming_world(
    seed: int, cast: Sequence[HiddenWorker], count: int = 400, *, sharpness: float = SHARPNESS
) -> HiddenWorld:
    """A world whose tasks stream in at the usual load."""
    tasks = make_tasks(seed, count)
    return HiddenWorld(seed, tuple(cast), (Wave(tasks, arrival_rate(cast)),), sharpness)
