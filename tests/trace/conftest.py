"""Runs that are traced, in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents import run_in_virtual_time
from muster.agents.kernel.trace import Trace, TraceLog
from muster.agents.manager.task_manager import TaskManager
from muster.agents.trace.follow import follow
from muster.scenarios.scenario import Scenario


@pytest.fixture
def trace_to_sinks() -> Callable[..., Trace]:
    """Rehearses a scenario, with its trace in memory and in whatever else is given."""

    def go(scenario: Scenario, *sinks: Any) -> Trace:
        log = TraceLog()

        def seen(manager: TaskManager) -> None:
            for sink in (log, *sinks):
                follow(manager, sink)

        run_in_virtual_time(scenario.rehearse(seen=seen))
        return log.trace()

    return go
