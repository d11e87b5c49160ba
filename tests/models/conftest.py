"""A model server on loopback, and a worker whose handlers ask it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from muster.agents import ModelHandlers, Price, TaskManager, WorkerAgent, rehearse
from muster.messages import Task
from muster.scenarios.model_server import ModelServer, Rule

PRICE = Price(in_per_million=1_000_000, out_per_million=2_000_000)
"""A token in costs 1, and one out 2."""

Ask = Callable[..., TaskManager]


@pytest.fixture
def ask() -> Ask:
    """Have a model do tasks, and return the manager at the end of the run."""

    def run(
        rule: Rule,
        *tasks: Task | Any,
        then: Callable[[ModelServer], Awaitable[None] | None] | None = None,
        workers: Sequence[WorkerAgent] = (),
        keys: Sequence[str] | None = None,
        slots: int = 1,
        **options: Any,
    ) -> TaskManager:
        async def main() -> TaskManager:
            async with ModelServer(rule, keys=keys) as server:
                handlers = ModelHandlers(
                    "small", server.url, **{"price": PRICE, "types": ["prompt"], **options}
                )
                made = [
                    each if isinstance(each, Task) else Task(id=n, type="prompt", data=each)
                    for n, each in enumerate(tasks, 1)
                ]
                asked = [*workers, WorkerAgent("Model", 5, slots=slots, handlers=handlers)]
                manager = TaskManager(
                    made, len(asked), quiet=True, policy="in_order", cost_unit="cents"
                )
                await rehearse(manager, asked)
                if then is not None:
                    told = then(server)
                    if told is not None:
                        await told
                return manager

        return asyncio.run(main())

    return run
