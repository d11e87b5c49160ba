"""Gets the trace of a run: from a scenario, a trace file or a store."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ...messages import InvalidInput, RunEnded, WorkersMissing
from ...scenarios.scenario import ManagerSeen, Scenario
from ..kernel.trace import Trace, TraceLog, trace_of
from ..manager.task_manager import TaskManager
from ..simulation.virtual_time import run_in_virtual_time
from ..store.places import StorePlace
from ..trace.file import read_trace_file
from ..trace.follow import add_side_message, follow
from .console.exit import print_message
from .console.interrupts import Interrupts
from .console.reserved_stdout import reserve_stdout
from .scenario_finder import find_scenario, make_scenario
from .stored_run import read_stored_run


def trace_from_file(path: Path) -> Trace:
    """Read a trace file, and print its warnings on stderr.

    Raises:
        InvalidTrace: the file can't be read, or is damaged.
    """
    read = read_trace_file(path)
    for warning in read.warnings:
        print_message(warning)
    return read.trace


def trace_from_store(place: StorePlace) -> Trace:
    """Build a trace from what a store keeps of its run.

    Raises:
        StoreUnusable: there is no store, or it can't be read.
    """
    found = read_stored_run(place)
    return trace_of(found.board, found.title)


def trace_from_scenario(
    name_or_file: str, arguments: Sequence[str], *, real: bool = False, time_scale: float = 1.0
) -> Trace:
    """Run a scenario and trace it.

    Raises:
        UnknownName: there is no such scenario.
        InvalidInput: it does not take these arguments.
    """
    # Its file may print, but stdout is reserved for the diagram.
    with reserve_stdout():
        made = make_scenario(find_scenario(name_or_file), time_scale, arguments)
        return trace_scenario(made, real=real)


def trace_scenario(scenario: Scenario, *, real: bool = False) -> Trace:
    """Run a scenario and trace it; in virtual time if possible.

    Args:
        scenario: the scenario.
        real: run it over real Ceylon in real time, even if virtual time is possible.
    """
    log = TraceLog()
    managers: list[TaskManager] = []
    scenario.tell_aside = partial(add_side_message, log)

    def seen(manager: TaskManager) -> None:
        managers.append(manager)
        follow(manager, log)

    # Handlers may print, but stdout is reserved for the diagram. A run that ends early, as when
    # workers are missing, still has a trace.
    with reserve_stdout(), contextlib.suppress(RunEnded, WorkersMissing):
        if real or scenario.needs_the_real_network():
            asyncio.run(_play(scenario, seen, managers))
        else:
            run_in_virtual_time(scenario.rehearse(seen=seen))
    return log.trace()


def is_scenario(text: str) -> bool:
    """Whether a command line argument names a scenario rather than a trace file."""
    return Path(text).suffix == ".py" or not Path(text).is_file()


def refuse_arguments(arguments: Sequence[str]) -> None:
    """Check that no arguments are given with a trace file or a store.

    Raises:
        InvalidInput: there are arguments.
    """
    if arguments:
        raise InvalidInput(f"unexpected argument {arguments[0]!r}: only a scenario takes arguments")


async def _play(scenario: Scenario, seen: ManagerSeen, managers: list[TaskManager]) -> None:
    async def stop() -> None:
        for manager in managers:
            await manager.stop()

    async with Interrupts(stop):
        await scenario.play(seen=seen)
