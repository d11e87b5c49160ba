"""Rehearses a scenario in virtual time, and checks the diagram in its docstring."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from muster.agents.diagram import FoundDiagram, find_diagrams
from muster.agents.kernel.trace import Trace, TraceLog
from muster.agents.manager.task_manager import TaskManager
from muster.agents.report.model import RunReport
from muster.agents.simulation.virtual_time import run_in_virtual_time
from muster.agents.trace.follow import follow
from muster.scenarios.scenario import Scenario


@dataclass
class Rehearsal:
    """What happened in a rehearsed scenario."""

    report: RunReport
    manager: TaskManager
    trace: Trace
    lasted_s: float


@pytest.fixture
def diagram_of() -> Callable[[type[Scenario]], FoundDiagram]:
    """Reads the diagram in the docstring of a scenario's module."""

    def read(story: type[Scenario]) -> FoundDiagram:
        (found,) = find_diagrams(importlib.import_module(story.__module__).__doc__, story.name())
        return found

    return read


@pytest.fixture
def rehearse_scenario() -> Callable[..., Rehearsal]:
    """Rehearses a scenario in virtual time and tells what happened."""

    def go(scenario: Scenario) -> Rehearsal:
        return run_in_virtual_time(_rehearse(scenario))

    return go


async def _rehearse(scenario: Scenario) -> Rehearsal:
    log = TraceLog()
    managers: list[TaskManager] = []

    def seen(manager: TaskManager) -> None:
        managers.append(manager)
        follow(manager, log)

    report = await scenario.rehearse(seen=seen)
    return Rehearsal(report, managers[0], log.trace(), asyncio.get_running_loop().time())
