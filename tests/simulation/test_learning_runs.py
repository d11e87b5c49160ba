"""Whole runs of learning policies: nothing starves, and the same seed gives the same run."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from collections.abc import Sequence
from typing import Any

import pytest
from muster.agents import TaskManager, WorkerAgent, rehearse, run_in_virtual_time
from muster.agents.execution.handlers import Handlers, TaskContext
from muster.agents.kernel.matching.adaptive import AdaptivePolicy
from muster.agents.kernel.matching.policy_names import find_policy
from muster.agents.simulation.memory_network import MemoryNetwork
from muster.agents.simulation.runner import Conditions, simulate
from muster.messages import InvalidTask, Task, TaskStatus

TYPES = ("paint", "sing", "write")
TASKS = 40
STUCK = 0.1
STUCK_S = 1e6
TIMEOUT_S = 8.0


class LearningStory:
    """Workers of hidden skills, some of which get stuck; tasks of several types stream in.

    No task expires or is given up for want of a worker, so a task that starves hangs the run.
    """

    def __init__(
        self, seed: int, slots: int, *, declares: int | None = None, policy: str = "adaptive"
    ) -> None:
        self._seed = seed
        self._declares = declares
        self._policy = policy
        self._slots = slots
        luck = self._luck("tasks")
        self._tasks = [
            Task(
                id=number,
                description="a task",
                type=luck.choice(TYPES),
                difficulty=luck.randint(1, 10),
                priority=luck.choice((0, 0, 0, 5)),
                timeout=TIMEOUT_S,
                max_attempts=luck.choice((1, 1, 2, 4)),
            )
            for number in range(1, TASKS + 1)
        ]

    def manager(self) -> TaskManager:
        early = len(self._tasks) // 2
        return TaskManager(
            self._tasks[:early],
            3,
            port=0,
            quiet=True,
            policy=self._policy,
            unmatched_after_s=None,
            lost_after_s=4.0,
            reassign_failed=self._luck("manager").choice((False, True)),
        )

    def workers(self) -> list[WorkerAgent]:
        luck = self._luck("workers")
        # Somebody declares enough for everything; the others say what comes to mind.
        declared = [luck.randint(1, 10) for _ in range(3)] + [10]
        chances = [0.1 + 0.8 * luck.random() for _ in declared]
        return [
            self._worker(f"w{number}", self._declares or level, chance)
            for number, (level, chance) in enumerate(zip(declared, chances, strict=True), start=1)
        ]

    async def direct(self, manager: TaskManager) -> None:
        for task in self._tasks[len(self._tasks) // 2 :]:
            await asyncio.sleep(0.3)
            # A run that has ended takes no more tasks.
            with contextlib.suppress(InvalidTask):
                manager.add_task(task)

    def _worker(self, name: str, declared: int, chance: float) -> WorkerAgent:
        handlers = Handlers()

        async def perform(task: Task, context: TaskContext) -> None:
            luck = self._luck(name, task.id, context.attempt)
            await asyncio.sleep(STUCK_S if luck.random() < STUCK else luck.uniform(0.2, 4.0))
            if luck.random() >= chance:
                raise ValueError("not good enough")

        for each in TYPES:
            handlers.task(each)(perform)
        return WorkerAgent(name, declared, slots=self._slots, handlers=handlers)

    def _luck(self, *key: object) -> random.Random:
        return random.Random("/".join(map(str, (self._seed, *key))))


def told(outcome: Any) -> str:
    return f"seed {outcome.conditions.seed}: {outcome.violation}\n" + "\n".join(outcome.story)


# ------------------------------------------------------------------------------- nothing starves


@pytest.mark.parametrize(("seed", "slots"), [(0, 1), (1, 4), (2, 16)])
def test_no_task_starves_in_a_storm_of_faults(seed: int, slots: int) -> None:
    outcome = simulate(LearningStory(seed, slots), Conditions(seed, storm_s=10.0))
    assert outcome.violation is None, told(outcome)


@pytest.mark.slow
@pytest.mark.parametrize("slots", [1, 4, 16])
def test_no_task_starves_in_many_storms(slots: int) -> None:
    first = random.SystemRandom().randrange(10**9)
    for seed in range(first, first + 8):
        outcome = simulate(LearningStory(seed, slots), Conditions(seed, storm_s=20.0))
        assert outcome.violation is None, told(outcome)


@pytest.mark.parametrize("slots", [1, 4, 16])
def test_nothing_waits_for_ever_for_a_skill_that_is_declared_too_low(slots: int) -> None:
    tasks = _rehearse(LearningStory(1, slots, declares=1))
    assert all(task.status.is_final for task in tasks)
    assert all(task.attempts for task in tasks)
    assert any(task.status is TaskStatus.COMPLETED for task in tasks)


def _rehearse(story: LearningStory) -> Sequence[Any]:
    async def play() -> Any:
        manager = story.manager()
        directing = asyncio.ensure_future(story.direct(manager))
        report = await rehearse(manager, story.workers())
        await directing
        return report

    return run_in_virtual_time(asyncio.wait_for(play(), 3_600.0)).tasks


# ------------------------------------------------------------------------------- reproducible


@pytest.mark.parametrize("slots", [1, 16])
def test_the_same_seed_gives_the_same_run(slots: int) -> None:
    first, second = (
        simulate(LearningStory(7, slots), Conditions(7, storm_s=10.0)).digest for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize("order", list(itertools.permutations(range(3)))[1:], ids=str)
def test_scorecards_do_not_depend_on_the_order_of_results_that_arrive_together(
    order: tuple[int, ...], in_order: Any
) -> None:
    assert _scorecards_after(order) == in_order


@pytest.fixture(scope="module")
def in_order() -> Any:
    """What is learned if the results arrive in the workers' order."""
    return _scorecards_after((0, 1, 2))


def _scorecards_after(order: tuple[int, ...]) -> Any:
    """What is learned from nine attempts on three workers that all end at the same moment."""
    policy = find_policy("adaptive")
    assert isinstance(policy, AdaptivePolicy)
    workers = [_ends_at_noon(f"w{number}") for number in range(1, 4)]
    tasks = [
        Task(id=number, description="a task", type=TYPES[number % 2], difficulty=number)
        for number in range(1, 10)
    ]

    async def play() -> None:
        manager = TaskManager(tasks, ["w1", "w2", "w3"], quiet=True, policy=policy)
        # Frames that are sent at the same moment arrive in the order in which workers joined.
        await rehearse(manager, [workers[index] for index in order], MemoryNetwork())
        assert all(task.attempts for task in manager.report().tasks)

    run_in_virtual_time(play())
    learned = policy.scorecards.export()
    assert (
        sum(
            each["results"] for one in learned["workers"].values() for each in one["types"].values()
        )
        == 9
    )
    return learned


def _ends_at_noon(name: str) -> WorkerAgent:
    handlers = Handlers()

    async def perform(task: Task) -> None:
        await asyncio.sleep(12.0 - asyncio.get_running_loop().time())
        if (task.difficulty + len(TYPES)) % 2:
            raise ValueError("not good enough")

    for each in TYPES:
        handlers.task(each)(perform)
    return WorkerAgent(name, 10, slots=3, handlers=handlers)
