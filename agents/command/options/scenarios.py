"""The options of `muster run`, `scenarios`, `simulate` and the hidden `play-worker`."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import Annotated

import typer

from ....messages import InvalidInput
from ...runtime.ports import LOOPBACK
from ...simulation.faults import ALL_FAULTS, read_fault_kinds
from ..console.credentials import take_ticket
from ..console.logging_setup import configure_logging
from .shared import (
    AsJson,
    Join,
    ReportFile,
    TimeScale,
    TraceOut,
    UnmatchedAfter,
    Verbose,
    WebHost,
    WebLinger,
    WebNames,
    WebPort,
)

# Each command imports its own modules when it runs, so that a worker starts quickly.
# ruff: noqa: PLC0415
# Each option of a command is a parameter; Typer passes them by name.
# ruff: noqa: PLR0917

MAX_RANDOM_SEED = 1_000_000_000
"""Random seeds are below this, so that they are short enough to retype."""


def run(
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO|FILE.py")],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ARGUMENT]...", help="Arguments of the scenario, if it takes any."),
    ] = None,
    time_scale: TimeScale = 1.0,
    processes: Annotated[
        bool, typer.Option("--processes", help="Run each worker in its own process.")
    ] = False,
    unmatched_after: UnmatchedAfter = None,
    trace: TraceOut = None,
    report: ReportFile = None,
    as_json: AsJson = False,
    web: WebPort = None,
    web_host: WebHost = LOOPBACK,
    web_name: WebNames = None,
    web_linger: WebLinger = None,
    verbose: Verbose = 0,
) -> None:
    """Run a scenario.

    The exit code is 0 if every task succeeded.
    """
    from ...report.file import check_report_file
    from ...simulation.virtual_time import run_in_virtual_time
    from ..run import play_scenario
    from ..scenario_finder import find_scenario, make_scenario
    from ..web_page import web_page_options

    configure_logging(verbose)
    check_report_file(report)
    made = make_scenario(find_scenario(scenario), time_scale, arguments or ())
    page = web_page_options(web, web_host, web_name, web_linger)
    if made.in_virtual_time and (processes or page is not None):
        raise InvalidInput(
            f"scenario {made.name()!r} runs in virtual time, in which there are no processes and "
            "no live page; leave out --processes and --web"
        )
    playing = play_scenario(
        made,
        processes=processes,
        as_json=as_json,
        unmatched_after_s=unmatched_after,
        trace_file=trace,
        report_file=report,
        web=page,
    )
    run = run_in_virtual_time if made.in_virtual_time else asyncio.run
    raise typer.Exit(run(playing))


def scenarios(verbose: Verbose = 0) -> None:
    """List the built-in scenarios."""
    from ..output import write_line
    from ..scenario_finder import built_in_scenarios

    configure_logging(verbose)
    found = built_in_scenarios()
    width = max(len(scenario.name()) for scenario in found)
    for scenario in found:
        write_line(f"{scenario.name():<{width}}  {scenario.headline()}")
        if scenario.takes:
            write_line(f"{'':<{width}}  arguments: {scenario.takes}")


def simulate(
    scenario: Annotated[str, typer.Argument(metavar="[SCENARIO|FILE.py]")] = "",
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ARGUMENT]...", help="Arguments of the scenario, if it takes any."),
    ] = None,
    stress: Annotated[
        bool, typer.Option("--stress", help="Run a generated workload instead of a scenario.")
    ] = False,
    skills: Annotated[
        bool,
        typer.Option(
            "--skills",
            help="Compare matching policies, without faults, where workers are not what they "
            "declare.",
        ),
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option(help="The seed of the first run; each next run adds 1 [default: random]."),
    ] = None,
    runs: Annotated[int, typer.Option(min=1, help="The number of runs.")] = 1,
    faults: Annotated[
        str,
        typer.Option(metavar="KIND,...", help="The kinds of faults to inject."),
    ] = ",".join(ALL_FAULTS),
    storm: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            metavar="SECONDS",
            help="How long faults are injected, in virtual time [default: depends on the "
            "scenario].",
        ),
    ] = None,
    processes: Annotated[
        int, typer.Option(min=1, help="The number of processes that share the runs.")
    ] = 1,
    verbose: Verbose = 0,
) -> None:
    """Run a scenario many times in virtual time with injected faults, and check its invariants.

    The exit code is 0 if no invariant was violated. The same seed gives the same run. With
    --skills, print instead how many tasks each matching policy gets right.
    """
    from ..simulate import SimulationPlan, simulate_runs

    if [bool(scenario), stress, skills].count(True) != 1:
        raise InvalidInput("give one of a scenario, --stress and --skills")
    first_seed = secrets.randbelow(MAX_RANDOM_SEED) if seed is None else seed
    if skills:
        from ..simulate_skills import compare_skills

        configure_logging(verbose)
        raise typer.Exit(compare_skills(first_seed, runs, processes))
    plan = SimulationPlan(
        scenario=scenario,
        arguments=tuple(arguments or ()),
        kinds=read_fault_kinds(faults),
        storm_s=storm,
        first_seed=first_seed,
        runs=runs,
        verbosity=verbose,
    )
    raise typer.Exit(simulate_runs(plan, processes))


def play_one_worker(
    module_file: Path,
    name: str,
    join: Join,
    time_scale: TimeScale = 1.0,
    arguments: Annotated[list[str] | None, typer.Argument()] = None,
    verbose: Verbose = 0,
) -> None:
    """Run one worker of a scenario that another process runs."""
    from ...security.ticket import read_ticket
    from ..console.reserved_stdout import reserve_stdout
    from ..play_worker import play_worker
    from ..scenario_finder import find_scenario, make_scenario

    configure_logging(verbose)
    # The parent prints its report on stdout.
    with reserve_stdout():
        made = make_scenario(find_scenario(str(module_file)), time_scale, arguments or ())
        ticket = read_ticket(take_ticket(join))
        code = asyncio.run(play_worker(made, name, ticket))
    raise typer.Exit(code)
