"""Policies to compare with: random, round robin, the true skills, and an oracle that knows them."""

from __future__ import annotations

import asyncio
import heapq
import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

from ...messages import Task, TaskId
from ..kernel.matching.policies import MatchingPolicy
from ..kernel.matching.policy_names import find_policy
from ..kernel.model.records import WorkerRecord
from .hidden_skills import HiddenWorker, HiddenWorld, seeded

TOLERANCE = 0.03
"""How much worse than the best pair a pair may be at once, in chance of success."""

RELAX_PER_S = 0.01
"""How much more it may be worse for each second that the task has waited."""

_PRICE_ROUNDS = 400
_PRICE_STEP = 0.05
_PLANNED = 0.97
"""The share of its time for which the oracle plans a worker; the rest is lost to waiting."""


class _IgnoresSkill:
    """A policy without obstacles that assigns tasks in the order of priority and difficulty."""

    name = ""

    def urgency(self, task: Task, sequence: int) -> tuple[float, ...]:
        """By priority, then difficulty, then the order of adding."""
        return (-task.priority, -task.difficulty, sequence)

    def group(self, task: Task) -> Hashable:
        """One group for all tasks."""
        del task
        return None

    def obstacle(self, task: Task, worker: WorkerRecord) -> str | None:
        """None: any worker may run any task."""
        del task, worker
        return None


class RandomPolicy(_IgnoresSkill):
    """Assigns each task to any free worker.

    Args:
        seed: the seed of the choice.
    """

    name = "random"

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def group(self, task: Task) -> Hashable:
        """Each task is a group, since the choice differs."""
        return task.id

    def score(self, task: Task, worker: WorkerRecord) -> float:
        """A number drawn by chance."""
        return seeded(self._seed, "choice", task.id, worker.name).random()


class RoundRobin(_IgnoresSkill):
    """Assigns each task to the free worker that has had the fewest tasks."""

    name = "round_robin"

    def score(self, task: Task, worker: WorkerRecord) -> float:
        """The fewest tasks."""
        del task
        return -float(worker.stats.completed_tasks + worker.taken)


class TrueSkills(_IgnoresSkill):
    """Scores workers by their true chance; as all policies without pairs, it takes the task first.

    Args:
        world: the world that knows the chances.
    """

    name = "true_skills"

    def __init__(self, world: HiddenWorld) -> None:
        self._world = world
        self._workers = {worker.name: worker for worker in world.workers}

    def group(self, task: Task) -> Hashable:
        """By difficulty, and by the time at which somebody changes."""
        return task.difficulty, self._world.era(task)

    def score(self, task: Task, worker: WorkerRecord) -> float:
        """The true chance of success."""
        return self._world.chance(self._workers[worker.name], task)


class Oracle(_IgnoresSkill):
    """Knows the true chances and all tasks that will come, and chooses pairs freely.

    Each worker's second has a price: the one at which everybody's work just fits into the time
    there is. A pair is worth its chance of success less the price of the time that it takes. A
    task waits for a better worker while that is worth more, the less the longer it has waited.

    Args:
        world: the world that knows the chances.
        thrift: the value of one unit of cost, against one success.
    """

    name = "oracle"

    def __init__(self, world: HiddenWorld, thrift: float = 0.0) -> None:
        self._world = world
        self._thrift = thrift
        self._workers = {worker.name: worker for worker in world.workers}
        self._prices: dict[tuple[int, int], dict[str, float]] = {}
        self._value: dict[tuple[int, TaskId], tuple[float, dict[str, float]]] = {}
        self._since: dict[TaskId, float] = {}
        self._wave_of = {
            task.id: number for number, wave in enumerate(world.waves) for task in wave.tasks
        }
        self._failed: dict[TaskId, set[str]] = {}

    def score(self, task: Task, worker: WorkerRecord) -> float:
        """The true chance of success; `pair` decides."""
        return self._world.chance(self._workers[worker.name], task)

    def loss(self, worker: HiddenWorker, task: Task) -> float:
        """How much worse this worker is for a task than the best pair of the task, 0 or more."""
        best, values = self._values(task)
        return best - values[worker.name]

    def pair(
        self, tasks: Sequence[Task], workers: Sequence[WorkerRecord]
    ) -> Iterable[tuple[WorkerRecord, Task]]:
        """The pairs with the least loss first, until the loss is more than waiting is worth."""
        now = asyncio.get_running_loop().time()
        heap: list[tuple[float, int, int, WorkerRecord, Task]] = []
        for place, task in enumerate(tasks):
            waited_s = now - self._since.setdefault(task.id, now)
            allowed = TOLERANCE + RELAX_PER_S * waited_s
            best, values = self._values(task)
            for worker in workers:
                loss = best - values[worker.name]
                if loss <= allowed:
                    heap.append((loss - RELAX_PER_S * waited_s, place, worker.order, worker, task))
        heapq.heapify(heap)
        free = Counter({worker.name: worker.slots - worker.taken for worker in workers})
        paired: set[TaskId] = set()
        while heap:
            _, _, _, worker, task = heapq.heappop(heap)
            if task.id not in paired and free[worker.name]:
                paired.add(task.id)
                free[worker.name] -= 1
                yield worker, task

    def _values(self, task: Task) -> tuple[float, dict[str, float]]:
        key = self._wave_of[task.id], task.id
        found = self._value.get(key)
        if found is None:
            era = self._wave_of[task.id], self._world.era(task)
            if era not in self._prices:
                self._prices[era] = self._find_prices(*era)
            prices = self._prices[era]
            values = {
                worker.name: self._worth(worker, task)
                - prices[worker.name] * self._world.expected_s(worker, task)
                for worker in self._world.workers
            }
            found = self._value[key] = max(values.values()), values
        return found

    def _worth(self, worker: HiddenWorker, task: Task) -> float:
        return self._world.chance(worker, task) - self._thrift * worker.cost_per_task

    def _find_prices(self, wave: int, era: int) -> dict[str, float]:
        """The prices at which the tasks of a wave and an era fit into the workers' time."""
        world = self._world
        tasks = [task for task in world.waves[wave].tasks if world.era(task) == era]
        rate = world.waves[wave].rate
        window_s = shortest_span_s(world, tasks) if rate is None else _PLANNED * len(tasks) / rate
        # Real outcomes differ from task to task; then there is one of each kind.
        kinds = Counter(map(world.kind, tasks))
        samples = {world.kind(task): task for task in tasks}
        table: list[tuple[int, list[tuple[str, float, float]]]] = []
        for kind, number in kinds.items():
            task = samples[kind]
            row = [
                (each.name, self._worth(each, task), world.expected_s(each, task))
                for each in world.workers
            ]
            table.append((number, row))
        return _dual_prices(table, {each.name: window_s * each.slots for each in world.workers})


def shortest_span_s(world: HiddenWorld, tasks: Sequence[Task]) -> float:
    """How long the tasks take at least if all slots work all the time, in seconds."""
    # Broken workers fail at once, which does no work.
    return len(tasks) / sum(worker.slots / worker.pace_s for worker in world.workers)


def _dual_prices(
    table: Sequence[tuple[int, Sequence[tuple[str, float, float]]]],
    budget_s: dict[str, float],
) -> dict[str, float]:
    """The workers' prices a second, by subgradient descent on the dual of the assignment."""
    prices = dict.fromkeys(budget_s, 0.0)
    mean = dict.fromkeys(budget_s, 0.0)
    weight = 0.0
    for turn in range(1, _PRICE_ROUNDS + 1):
        used = dict.fromkeys(budget_s, 0.0)
        for number, row in table:
            best_value = -math.inf
            best_name, best_s = "", 0.0
            for name, worth, lasts_s in row:
                value = worth - prices[name] * lasts_s
                if value > best_value:
                    best_value, best_name, best_s = value, name, lasts_s
            used[best_name] += number * best_s
        size = _PRICE_STEP / math.sqrt(turn)
        for name, whole_s in budget_s.items():
            over = min(used[name] / whole_s - 1.0, 2.0)
            prices[name] = max(0.0, prices[name] + size * over)
        if turn > _PRICE_ROUNDS // 3:
            weight += size
            for name, price in prices.items():
                mean[name] += size * price
    return {name: total / weight for name, total in mean.items()}


REFERENCE_POLICIES: Mapping[str, Callable[[HiddenWorld], MatchingPolicy]] = {
    RandomPolicy.name: lambda world: RandomPolicy(world.seed),
    RoundRobin.name: lambda _: RoundRobin(),
    TrueSkills.name: TrueSkills,
    Oracle.name: Oracle,
}
"""The policies of this room by name; each is made for one world."""


def make_policy(name: str, world: HiddenWorld) -> MatchingPolicy:
    """The policy of this name, new for a world: one of this room, or a built-in one.

    Raises:
        UnknownName: there is none.
    """
    make = REFERENCE_POLICIES.get(name)
    return find_policy(name) if make is None else make(world)
