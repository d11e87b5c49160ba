"""A scenario waits for its own worker processes as long as they are starting."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest
from muster.agents import TaskManager, WorkerAgent
from muster.agents.simulation.memory_network import MemoryNetwork
from muster.agents.simulation.virtual_time import run_in_virtual_time
from muster.messages import Task, WorkersMissing
from muster.scenarios import scenario

LATE_S = 95.0


async def start(returncode: int | None, *, comes: bool) -> tuple[TaskManager, float]:
    """Run a manager whose only worker joins late, if at all; its process is as told."""
    manager = TaskManager(
        [Task(id=1, description="Count", difficulty=1)],
        expected_workers=["Ada"],
        join_timeout_s=30,
        quiet=True,
    )
    network = MemoryNetwork()
    process: Any = SimpleNamespace(returncode=returncode)
    waiting = asyncio.ensure_future(scenario._wait_while_workers_start(manager, {"Ada": process}))

    async def join_late() -> None:
        await asyncio.sleep(LATE_S)
        if comes:
            ada = WorkerAgent("Ada", 5)
            await ada.serve_over(network.join("Ada", ada.receive))

    joining = asyncio.ensure_future(join_late())
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        await manager.serve_over(network.join(manager.name, manager.receive))
    finally:
        for each in (waiting, joining):
            each.cancel()
        await asyncio.gather(waiting, joining, return_exceptions=True)
    return manager, loop.time() - began


def test_it_waits_while_the_process_lives_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "muster"):
        manager, took_s = run_in_virtual_time(start(None, comes=True))
    assert manager.report().exit_code == 0
    assert took_s >= LATE_S
    told = [each.getMessage() for each in caplog.records if "still starting" in each.getMessage()]
    assert len(told) == 9
    assert "workers='Ada' waited_s=90" in told[-1]


def test_it_gives_up_as_before_when_the_process_has_ended() -> None:
    async def story() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(WorkersMissing):
            await start(1, comes=False)
        return loop.time() - began

    assert run_in_virtual_time(story()) == pytest.approx(30.0, abs=5.0)
