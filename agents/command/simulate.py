"""`muster simulate`: runs a workload many times with injected faults, and checks invariants."""

from __future__ import annotations

import logging
import multiprocessing
import shlex
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from ...messages import InvalidInput
from ..simulation.faults import ALL_FAULTS, FaultKind
from ..simulation.runner import Conditions, SimulationOutcome, Workload, shrink, simulate
from ..simulation.workload import StressStory
from .console.exit import EXIT_FAILED, EXIT_OK
from .console.interrupts import ignore_sigint
from .console.logging_setup import configure_logging
from .output import write_line
from .scenario_finder import find_scenario, make_scenario

_Item = TypeVar("_Item")
_Done = TypeVar("_Done")

_RUNS_PER_SHARE = 50
_STRESS_STORM_S = 20.0
_MIN_STORM_S = 10.0
_STORM_TO_RUN_RATIO = 1.5


@dataclass(frozen=True, slots=True)
class SimulationPlan:
    """What to simulate.

    Args:
        scenario: the name or file of a scenario; "" is the generated workload of `--stress`.
        arguments: the arguments of the scenario.
        kinds: the kinds of faults to inject.
        storm_s: how long faults are injected, in virtual seconds; None derives it from a run
            without faults.
        first_seed: the seed of the first run; each next run adds 1.
        runs: the number of runs.
        verbosity: how much to log, as for `configure_logging`.
    """

    scenario: str
    arguments: tuple[str, ...]
    kinds: tuple[FaultKind, ...]
    storm_s: float | None
    first_seed: int
    runs: int
    verbosity: int

    def workload(self, seed: int) -> Workload:
        """The workload for a seed.

        Raises:
            InvalidInput: the scenario can't run in virtual time.
        """
        if not self.scenario:
            return StressStory(seed)
        scenario = find_scenario(self.scenario)
        if why := scenario.needs_the_real_network():
            raise InvalidInput(
                f"scenario {scenario.name()!r} can't be simulated: {why}, which needs the real "
                "network; run it with `muster run`"
            )
        return make_scenario(scenario, 1.0, self.arguments)

    def command_for(self, conditions: Conditions) -> str:
        """The command that repeats one run."""
        words = ["muster", "simulate", *(("--stress",) if not self.scenario else ())]
        words += ["--seed", str(conditions.seed), "--storm", f"{conditions.storm_s:g}"]
        words += ["--faults", ",".join(conditions.kinds)]
        if self.scenario:
            words += ["--", self.scenario, *self.arguments]
        return shlex.join(words)


@dataclass(slots=True)
class SimulationTally:
    """The combined result of several runs.

    Args:
        runs: the number of runs.
        injected: the number of injected faults, by kind.
        lasted_s: the total duration, in virtual seconds.
        violation: the first run that violated an invariant, shrunk; no run follows it.
    """

    runs: int = 0
    injected: Counter[FaultKind] = field(default_factory=Counter[FaultKind])
    lasted_s: float = 0.0
    violation: SimulationOutcome | None = None

    def add(self, other: SimulationTally) -> None:
        """Add the result of other runs."""
        self.runs += other.runs
        self.injected += other.injected
        self.lasted_s += other.lasted_s
        self.violation = self.violation or other.violation


def simulate_runs(plan: SimulationPlan, processes: int) -> int:
    """Simulate, and print the result.

    Args:
        plan: what to simulate.
        processes: the number of processes that share the runs.

    Returns:
        The exit code.

    Raises:
        InvalidInput: the scenario can't run in virtual time.
    """
    _configure_logging(plan.verbosity)
    plan = replace(plan, storm_s=_find_storm_s(plan))
    last_seed = plan.first_seed + plan.runs - 1
    name = plan.scenario or "generated workload"
    write_line(f"{name}: {_count_runs(plan.runs)}, seeds {plan.first_seed} to {last_seed}")
    started_at = time.monotonic()
    tally = SimulationTally()
    for share in map_in_processes(
        run_share, _shares(plan), processes, partial(_start_process, plan.verbosity)
    ):
        tally.add(share)
        if tally.violation is not None:
            break
    _print_tally(tally, time.monotonic() - started_at)
    if tally.violation is None:
        write_line("no invariant was violated")
        return EXIT_OK
    _print_violation(plan, tally.violation)
    return EXIT_FAILED


def run_share(plan: SimulationPlan) -> SimulationTally:
    """Simulate the runs of a plan one after another, until one violates an invariant."""
    tally = SimulationTally()
    assert plan.storm_s is not None
    for seed in range(plan.first_seed, plan.first_seed + plan.runs):
        workload = plan.workload(seed)
        outcome = simulate(workload, Conditions(seed, plan.kinds, plan.storm_s))
        tally.runs += 1
        tally.injected += outcome.injected
        tally.lasted_s += outcome.lasted_s
        if outcome.violation is not None:
            tally.violation = shrink(workload, outcome)
            break
    return tally


def _configure_logging(verbosity: int) -> None:
    configure_logging(verbosity)
    if not verbosity:
        # Injected faults cause warnings in every run.
        logging.getLogger("muster").setLevel(logging.ERROR)


def _start_process(verbosity: int) -> None:
    ignore_sigint()
    _configure_logging(verbosity)


def _find_storm_s(plan: SimulationPlan) -> float:
    if plan.storm_s is not None:
        return plan.storm_s
    if not plan.scenario:
        return _STRESS_STORM_S
    without_faults = simulate(plan.workload(plan.first_seed), Conditions(0, (), 0.0))
    return max(_MIN_STORM_S, round(_STORM_TO_RUN_RATIO * without_faults.lasted_s, 1))


def _shares(plan: SimulationPlan) -> Iterator[SimulationPlan]:
    for begun in range(0, plan.runs, _RUNS_PER_SHARE):
        runs = min(_RUNS_PER_SHARE, plan.runs - begun)
        yield replace(plan, first_seed=plan.first_seed + begun, runs=runs)


def map_in_processes(
    run: Callable[[_Item], _Done],
    items: Iterable[_Item],
    processes: int,
    prepare: Callable[[], None] = ignore_sigint,
) -> Iterator[_Done]:
    """Call a function with each of some items, in this process or in several others.

    Args:
        run: the function.
        items: the items.
        processes: how many processes; with 1, it is this one.
        prepare: called once in each other process.
    """
    if processes == 1:
        yield from map(run, items)
        return
    # A fork would copy locks that Ceylon's threads may hold at that moment.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, initializer=prepare)
    try:
        yield from pool.map(run, items)
    finally:
        pool.shutdown(cancel_futures=True)


def _count_runs(runs: int) -> str:
    return f"{runs:,} run" + ("" if runs == 1 else "s")


def _print_tally(tally: SimulationTally, took_s: float) -> None:
    total = sum(tally.injected.values())
    by_kind = ", ".join(f"{kind.value} {tally.injected[kind]:,}" for kind in ALL_FAULTS)
    write_line(f"faults injected: {total:,} ({by_kind})")
    write_line(
        f"{_count_runs(tally.runs)}, {tally.lasted_s / 3600:,.2f} h of virtual time "
        f"in {took_s:,.1f} s: {tally.runs / max(took_s, 1e-9):,.0f} runs/s"
    )


def _print_violation(plan: SimulationPlan, outcome: SimulationOutcome) -> None:
    violation = outcome.violation
    assert violation is not None
    write_line(f"seed {outcome.conditions.seed} violated an invariant: {violation.invariant}")
    write_line(f"  {violation.detail}")
    if violation.task_id is not None:
        write_line(f"history of task {violation.task_id!r}:")
    for line in outcome.story:
        write_line(f"  {line}")
    write_line(f"to repeat this run: {plan.command_for(outcome.conditions)}")
