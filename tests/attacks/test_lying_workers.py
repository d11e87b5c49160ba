"""A worker that lies about itself is outvoted by its results, whatever it says."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from muster.agents import TaskManager, WorkerAgent, rehearse, run_in_virtual_time
from muster.agents.execution.handlers import Handlers, TaskContext
from muster.messages import Task, TaskAssignment, TaskResult, TaskStatus

TASKS = 200
SEEDS = (1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3)))
"""Of each kind of run, one is quick enough for every day."""
OTHERS_S = 2.0


@dataclass(frozen=True)
class Player:
    """A worker with what it says of itself, and what it is."""

    name: str
    declares: int
    chance: float
    takes_s: float = OTHERS_S
    says: dict[str, Any] | None = None
    """What it writes into its results, whatever happened."""
    profile: dict[str, Any] | None = None

    def agent(self, seed: int) -> WorkerAgent:
        handlers = Handlers()

        async def perform(task: Task, context: TaskContext) -> str:
            key = f"{seed}/{task.id}/{self.name}/{context.attempt}"
            luck = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big")
            await asyncio.sleep(self.takes_s)
            if random.Random(luck).random() >= self.chance:
                raise ValueError("not good enough")
            return "done"

        handlers.task("work")(perform)
        agent = _Claimant(self.name, self.declares, handlers=handlers, **(self.profile or {}))
        agent.says = self.says or {}
        return agent


class _Claimant(WorkerAgent):
    says: dict[str, Any]

    async def handle_task(
        self, data: TaskAssignment, time: int = 0, agent: Any = None
    ) -> TaskResult | bool | None:
        result = await super().handle_task(data, time, agent)
        assert isinstance(result, TaskResult)
        return result.model_copy(update=self.says)


@dataclass
class Played:
    """Who had each task in the order of adding, and the tasks that succeeded."""

    workers: list[str]
    done: int
    manager: TaskManager

    def share(self, worker: str, first: int = 0) -> float:
        late = self.workers[first:]
        return late.count(worker) / len(late)


def play(
    players: Sequence[Player],
    seed: int = 1,
    *,
    tasks: int = TASKS,
    every_s: float = 1.5,
    difficulty: int = 6,
    **options: Any,
) -> Played:
    """Tasks stream in slowly enough that the others could do all of them."""
    work = [
        Task(id=number, description="work", type="work", difficulty=difficulty)
        for number in range(1, tasks + 1)
    ]
    return run_in_virtual_time(_play(players, work, seed, every_s, options))


async def _play(
    players: Sequence[Player],
    tasks: Sequence[Task],
    seed: int,
    every_s: float,
    options: dict[str, Any],
) -> Played:
    names = [player.name for player in players]
    manager = TaskManager((), names, quiet=True, policy="adaptive", **options)
    manager._shell.driver.stay(reassigns_failed=False)
    running = asyncio.ensure_future(rehearse(manager, [each.agent(seed) for each in players]))
    while manager.board.began_at is None:
        await asyncio.sleep(0.01)
    if every_s:
        for task in tasks:
            manager.add_task(task)
            await asyncio.sleep(every_s)
    else:
        manager._shell.driver.add_tasks(tasks)
    while not all(record.status.is_final for record in manager.board.tasks.values()):
        await asyncio.sleep(1.0)
    await manager.stop()
    report = await running
    done = sum(task.status is TaskStatus.COMPLETED for task in report.tasks)
    return Played([task.worker for task in report.tasks], done, manager)


HONEST = [Player("Ada", 6, 0.85), Player("Ben", 6, 0.85)]


# ------------------------------------------------------------------------ what it declares


@pytest.mark.parametrize(
    "profile",
    [{}, {"specialties": ["work"]}, {"skills": {"work": 10.0}}],
    ids=["skill", "specialty", "named skill"],
)
@pytest.mark.parametrize("seed", SEEDS)
def test_who_declares_the_most_and_fails_loses_its_tasks(
    seed: int, profile: dict[str, Any]
) -> None:
    liar = Player("Liar", 10, 0.1, profile=profile)
    played = play([liar, *HONEST], seed)
    assert played.share("Liar", TASKS // 2) <= 0.15


@pytest.mark.parametrize("seed", SEEDS)
def test_who_declares_little_and_succeeds_gets_tasks(seed: int) -> None:
    modest = Player("Modest", 3, 0.95)
    played = play([Player("Ada", 8, 0.4), Player("Ben", 8, 0.4), modest], seed, every_s=2.5)
    assert played.share("Modest", TASKS // 2) >= 0.4


@pytest.mark.parametrize("seed", SEEDS)
def test_who_fails_everything_at_once_swallows_no_more_than_a_few_of_40(seed: int) -> None:
    hole = Player("Hole", 10, 0.0, takes_s=0.05, profile={"specialties": ["work"]})
    played = play([hole, *HONEST], seed, tasks=40, every_s=0.0)
    assert played.workers.count("Hole") <= 4


# ------------------------------------------------------------------------ what it reports


@pytest.fixture(scope="module")
def honest() -> Played:
    """What is decided if nobody lies."""
    return play([Player("Liar", 6, 0.6), *HONEST], tasks=100)


@pytest.mark.parametrize(
    "says",
    [
        {"quality": 1.0},
        {"execution_time": 0.001},
        {"execution_time": 1e6},
    ],
    ids=["grade 1", "took no time", "took an age"],
)
def test_what_a_worker_says_of_its_own_results_changes_no_decision(
    says: dict[str, Any], honest: Played
) -> None:
    lied = play([Player("Liar", 6, 0.6, says=says), *HONEST], tasks=100)
    assert lied.workers == honest.workers
