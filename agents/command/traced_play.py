"""Plays a scenario for its trace: in virtual time where that is possible."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from functools import partial

from ...messages import RunEnded, WorkersMissing
from ...scenarios.scenario import ManagerSeen, Scenario
from ..kernel.trace import Trace, TraceLog
from ..manager.task_manager import TaskManager
from ..simulation.virtual_time import run_in_virtual_time
from ..trace.follow import add_side_message, follow
from .console.interrupts import Interrupts


def trace_scenario(scenario: Scenario, *, real: bool = False) -> Trace:
    """Play a scenario and trace it.

    Args:
        scenario: what to play.
        real: play it over real Ceylon, in real time, even if it could be rehearsed.
    """
    log = TraceLog()
    managers: list[TaskManager] = []
    scenario.tell_aside = partial(add_side_message, log)

    def seen(manager: TaskManager) -> None:
        managers.append(manager)
        follow(manager, log)

    # Handlers may print, and stdout is for what is made of the trace. A run for which workers are
    # missing is a run as well.
    with contextlib.redirect_stdout(sys.stderr), contextlib.suppress(RunEnded, WorkersMissing):
        if real or scenario.needs_the_real_network():
            asyncio.run(_play(scenario, seen, managers))
        else:
            run_in_virtual_time(scenario.rehearse(seen=seen))
    return log.trace()


async def _play(scenario: Scenario, seen: ManagerSeen, managers: list[TaskManager]) -> None:
    async def stop() -> None:
        for manager in managers:
            await manager.stop()

    async with Interrupts(stop):
        await scenario.play(seen=seen)
