"""What learning saved lies within the interval that the report names as often as it says."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import pytest
from muster.agents import Handlers, TaskContext, TaskManager, WorkerAgent, rehearse
from muster.agents.kernel.board.board import Board
from muster.agents.replay.strongest import estimate_strongest
from muster.agents.simulation.virtual_time import run_in_virtual_time
from muster.messages import Retry, Task

RUNS, TASKS = 60, (40, 100, 300)
"""Each number of tasks in a third of the runs."""


def attempt(seed: int, name: str, task: object, number: int, chance: float) -> tuple[bool, float]:
    """Whether an attempt of a worker succeeds, and how many times its price it costs."""
    luck = random.Random(f"{seed}/{name}/{task}/{number}")
    return luck.random() < chance, luck.lognormvariate(0, 0.5)


def team_of(seed: int) -> tuple[dict[str, tuple[float, float]], int]:
    """Three workers with their chances and prices, and how many attempts a task may have."""
    luck = random.Random(f"team {seed}")
    team = {
        f"W{number}": (luck.uniform(0.5, 0.97), luck.choice([1, 3, 10]) * luck.uniform(0.7, 1.4))
        for number in range(3)
    }
    return team, luck.choice([1, 2, 3])


def play(seed: int) -> Board:
    team, max_attempts = team_of(seed)

    def worker(name: str, chance: float, price: float) -> WorkerAgent:
        handlers = Handlers()

        @handlers.task("sum")
        async def answer(task: Task, context: TaskContext) -> str:
            is_right, cost = attempt(seed, name, task.id, context.attempt, chance)
            context.cost(price * cost)
            if not is_right:
                raise ValueError("wrong")
            return "right"

        return WorkerAgent(name, 5, handlers=handlers)

    async def story() -> Board:
        tasks = [
            Task(n, type="sum", max_attempts=max_attempts) for n in range(1, TASKS[seed % 3] + 1)
        ]
        manager = TaskManager(tasks, len(team), policy="adaptive", thrift=0.05, quiet=True)
        await rehearse(manager, [worker(name, *each) for name, each in team.items()])
        return manager.board

    return run_in_virtual_time(story())


def true_cost(seed: int, board: Board) -> float:
    """What the worker with the best chance costs for all tasks: as seen, or else as it would."""
    team, max_attempts = team_of(seed)
    name = max(team, key=lambda each: team[each][0])
    chance, price = team[name]
    total = 0.0
    for task_id, record in board.tasks.items():
        seen = [each.number for each in record.attempts if each.worker.name == name]
        for number in range(max_attempts):
            luck = seen[number] if number < len(seen) else 100 + number
            is_right, cost = attempt(seed, name, task_id, luck, chance)
            total += price * cost
            if is_right:
                break
    return total


@pytest.mark.parametrize(
    ("fields", "retries"),
    [
        ({"max_attempts": 4}, {}),
        ({"retry": Retry(max_attempts=4, wait_s=0)}, {}),
        ({}, {"sum": Retry(max_attempts=4, wait_s=0)}),
        ({"escalate": ["W1", "W2", "W1", "W2"]}, {}),
    ],
    ids=["max_attempts", "retry", "retries of the manager", "ladder"],
)
def test_always_the_strongest_has_as_many_attempts_as_the_run(
    fields: dict[str, Any], retries: Mapping[str, Retry]
) -> None:
    def worker(name: str) -> WorkerAgent:
        handlers = Handlers()

        @handlers.task("sum")
        async def fail(task: Task, context: TaskContext) -> str:
            context.cost(1.0)
            raise ValueError("wrong")

        return WorkerAgent(name, 5, handlers=handlers)

    async def story() -> Board:
        tasks = [Task(n, type="sum", **fields) for n in range(1, 21)]
        manager = TaskManager(tasks, 2, policy="adaptive", retries=retries, quiet=True)
        await rehearse(manager, [worker("W1"), worker("W2")])
        return manager.board

    estimate = estimate_strongest(run_in_virtual_time(story()), 2_000)
    assert estimate is not None
    assert (estimate.cost, estimate.strongest_cost) == (80, pytest.approx(80, rel=0.05))


@pytest.mark.slow
def test_the_truth_lies_within_the_interval_in_nine_of_ten_runs() -> None:
    inside = 0
    for seed in range(RUNS):
        board = play(seed)
        estimate = estimate_strongest(board, 2_000)
        assert estimate is not None
        inside += estimate.cost_from <= true_cost(seed, board) <= estimate.cost_to
        assert estimate.cost_from <= estimate.strongest_cost <= estimate.cost_to
        if not seed:
            # The same run is always estimated alike.
            assert estimate_strongest(board, 2_000) == estimate
    assert 0.85 * RUNS <= inside <= 0.97 * RUNS, inside
