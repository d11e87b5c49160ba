"""Runs whose workers show what they can."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from muster.agents import Handlers, TaskManager, WorkerAgent, rehearse, run_in_virtual_time
from muster.messages import Task

TRUE_SKILLS = {"Ada": 9, "Ben": 3}
PACES_S = {"Ada": 1.0, "Ben": 1.3}


def tasks(number: int = 30) -> list[Task]:
    chance = random.Random(1)
    return [
        Task(each, "work", chance.randint(1, 9), type=chance.choice(["text", "vision"]))
        for each in range(1, number + 1)
    ]


def worker(name: str) -> WorkerAgent:
    """A worker that declares 6, and can do what its true skill allows."""
    handlers = Handlers()

    async def work(task: Task) -> int:
        await asyncio.sleep(PACES_S[name])
        if TRUE_SKILLS[name] < task.difficulty:
            raise ValueError("too hard")
        return task.difficulty

    for kind in ("text", "vision"):
        handlers.task(kind)(work)
    return WorkerAgent(name, 6, handlers=handlers, cost_per_task=0.25)


def run(number: int = 30, **options: Any) -> TaskManager:
    """Run the tasks in virtual time."""

    async def play() -> TaskManager:
        told = {"expected_workers": 2, "quiet": True, "policy": "adaptive", **options}
        manager = TaskManager(tasks(number), **told)
        await rehearse(manager, [worker(name) for name in TRUE_SKILLS])
        return manager

    return run_in_virtual_time(play())


def results_of(content: Any) -> dict[tuple[str, str], int]:
    """The number of results in a skills file, by worker and type."""
    return {
        (name, kind): cell.get("results", 0)
        for name, section in content["workers"].items()
        for kind, cell in section.get("types", {}).items()
    }
