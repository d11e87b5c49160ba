"""`muster simulate`: many runs through storms of faults, and what broke, if anything did."""

from __future__ import annotations

import logging
import multiprocessing
import shlex
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace

from ...messages import InvalidInput
from ..simulation.faults import ALL_FAULTS, FaultKind
from ..simulation.runner import Conditions, Outcome, Workload, simulate
from ..simulation.shrinking import shrink
from ..simulation.workload import StressStory
from .console.exit import EXIT_FAILED, EXIT_OK
from .console.interrupts import ignore_sigint
from .console.logging_setup import configure_logging
from .output import write_line
from .scenario_finder import find_scenario, make_scenario

_RUNS_A_SHARE = 50
_STRESS_STORM_S = 20.0
_SHORTEST_STORM_S = 10.0
_STORM_PER_RUN = 1.5


@dataclass(frozen=True, slots=True)
class Order:
    """What to simulate.

    Args:
        scenario: the name or file of a scenario; "" is the stress story.
        arguments: what the scenario takes.
        kinds: what may go wrong.
        storm_s: for how long, in virtual seconds; None suits the scenario.
        first_seed: the seed of the first run; the next one has the next.
        runs: how many runs.
        verbosity: how much is logged.
    """

    scenario: str
    arguments: tuple[str, ...]
    kinds: tuple[FaultKind, ...]
    storm_s: float | None
    first_seed: int
    runs: int
    verbosity: int

    def workload(self, seed: int) -> Workload:
        """What is simulated in the run of a seed.

        Raises:
            InvalidInput: the scenario can't be rehearsed.
        """
        if not self.scenario:
            return StressStory(seed)
        scenario = find_scenario(self.scenario)
        if why := scenario.needs_the_real_network():
            raise InvalidInput(
                f"scenario {scenario.name()!r} can't be simulated: {why}, which needs the real "
                "network; `muster run` plays it"
            )
        return make_scenario(scenario, 1.0, self.arguments)

    def again(self, conditions: Conditions) -> str:
        """The command that repeats one run."""
        words = ["muster", "simulate", *(("--stress",) if not self.scenario else ())]
        words += ["--seed", str(conditions.seed), "--storm", f"{conditions.storm_s:g}"]
        words += ["--faults", ",".join(conditions.kinds)]
        if self.scenario:
            words += ["--", self.scenario, *self.arguments]
        return shlex.join(words)


@dataclass(slots=True)
class SimulationTally:
    """What runs came to, all together.

    Args:
        runs: how many there were.
        injected: how many faults there were, by kind.
        lasted_s: how long they took, in virtual seconds.
        broken: the first that broke an invariant, as small as it could be made; the last run.
    """

    runs: int = 0
    injected: Counter[FaultKind] = field(default_factory=Counter[FaultKind])
    lasted_s: float = 0.0
    broken: Outcome | None = None

    def add(self, other: SimulationTally) -> None:
        """Add what other runs came to."""
        self.runs += other.runs
        self.injected += other.injected
        self.lasted_s += other.lasted_s
        self.broken = self.broken or other.broken


def simulate_runs(order: Order, processes: int) -> int:
    """Simulate, and print what came of it.

    Args:
        order: what to simulate.
        processes: over how many processes to spread the runs.

    Returns:
        The exit code.

    Raises:
        InvalidInput: the scenario can't be rehearsed.
    """
    _begin(order.verbosity)
    order = replace(order, storm_s=_find_storm_s(order))
    last_seed = order.first_seed + order.runs - 1
    told = "the stress story" if not order.scenario else order.scenario
    write_line(f"{told}: {order.runs:,} runs, seeds {order.first_seed} to {last_seed}")
    started_at = time.monotonic()
    tally = SimulationTally()
    for share in _run_shares(_shares(order), processes):
        tally.add(share)
        if tally.broken is not None:
            break
    _print_tally(tally, time.monotonic() - started_at)
    if tally.broken is None:
        write_line("no invariant was broken")
        return EXIT_OK
    _print_breach(order, tally.broken)
    return EXIT_FAILED


def run_share(order: Order) -> SimulationTally:
    """Simulate the runs of an order, one after the other, until one breaks an invariant."""
    tally = SimulationTally()
    assert order.storm_s is not None
    for seed in range(order.first_seed, order.first_seed + order.runs):
        workload = order.workload(seed)
        outcome = simulate(workload, Conditions(seed, order.kinds, order.storm_s))
        tally.runs += 1
        tally.injected += outcome.injected
        tally.lasted_s += outcome.lasted_s
        if outcome.breach is not None:
            tally.broken = shrink(workload, outcome)
            break
    return tally


def _begin(verbosity: int) -> None:
    configure_logging(verbosity)
    if not verbosity:
        # Storms make every run warn of silent managers.
        logging.getLogger("muster").setLevel(logging.ERROR)


def _begin_in_process(verbosity: int) -> None:
    ignore_sigint()
    _begin(verbosity)


def _find_storm_s(order: Order) -> float:
    if order.storm_s is not None:
        return order.storm_s
    if not order.scenario:
        return _STRESS_STORM_S
    undisturbed = simulate(order.workload(order.first_seed), Conditions(0, (), 0.0))
    return max(_SHORTEST_STORM_S, round(_STORM_PER_RUN * undisturbed.lasted_s, 1))


def _shares(order: Order) -> Iterator[Order]:
    for begun in range(0, order.runs, _RUNS_A_SHARE):
        runs = min(_RUNS_A_SHARE, order.runs - begun)
        yield replace(order, first_seed=order.first_seed + begun, runs=runs)


def _run_shares(shares: Iterable[Order], processes: int) -> Iterator[SimulationTally]:
    if processes == 1:
        yield from map(run_share, shares)
        return
    # Forking would copy locks that Ceylon's threads may hold at that moment.
    context = multiprocessing.get_context("spawn")
    share_list = list(shares)
    verbosity = share_list[0].verbosity
    pool = ProcessPoolExecutor(
        processes, context, initializer=_begin_in_process, initargs=(verbosity,)
    )
    try:
        yield from pool.map(run_share, share_list)
    finally:
        pool.shutdown(cancel_futures=True)


def _print_tally(tally: SimulationTally, took_s: float) -> None:
    total = sum(tally.injected.values())
    by_kind = ", ".join(f"{kind.value} {tally.injected[kind]:,}" for kind in ALL_FAULTS)
    write_line(f"faults injected: {total:,} ({by_kind})")
    write_line(
        f"{tally.runs:,} runs, {tally.lasted_s / 3600:,.2f} h of virtual time in {took_s:,.1f} s: "
        f"{tally.runs / max(took_s, 1e-9):,.0f} runs/s"
    )


def _print_breach(order: Order, broken: Outcome) -> None:
    breach = broken.breach
    assert breach is not None
    write_line(f"seed {broken.conditions.seed} broke an invariant: {breach.invariant}")
    write_line(f"  {breach.detail}")
    if breach.task_id is not None:
        write_line(f"the story of task {breach.task_id!r}:")
    for line in broken.story:
        write_line(f"  {line}")
    write_line(f"again: {order.again(broken.conditions)}")
