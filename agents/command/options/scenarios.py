"""The options of `muster run`, `scenarios` and `simulate`, and of the hidden `play-worker`."""

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
    Verbose,
    WebHost,
    WebLinger,
    WebNames,
    WebPort,
)

# Each command loads what it needs when it runs: a worker starts without what draws reports.
# ruff: noqa: PLC0415
# Each option of a command is a parameter; nobody passes them by position.
# ruff: noqa: PLR0917

MAX_RANDOM_SEED = 1_000_000_000
"""Below which seeds by chance are: still short enough to be typed again."""


def run(
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO|FILE.py")],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ARGUMENT]...", help="What the scenario takes, if anything."),
    ] = None,
    time_scale: TimeScale = 1.0,
    processes: Annotated[
        bool, typer.Option("--processes", help="Give each worker a process of its own.")
    ] = False,
    trace: TraceOut = None,
    report: ReportFile = None,
    as_json: AsJson = False,
    web: WebPort = None,
    web_host: WebHost = LOOPBACK,
    web_name: WebNames = None,
    web_linger: WebLinger = None,
    verbose: Verbose = 0,
) -> None:
    """Play a scenario.

    The exit code is 0 if every task succeeded.
    """
    from ...report.file import check_report_file
    from ..run import play_scenario
    from ..scenario_finder import find_scenario, make_scenario
    from ..web_page import read_web_options

    configure_logging(verbose)
    check_report_file(report)
    made = make_scenario(find_scenario(scenario), time_scale, arguments or ())
    page = read_web_options(web, web_host, web_name, web_linger)
    playing = play_scenario(
        made,
        processes=processes,
        as_json=as_json,
        trace_file=trace,
        report_file=report,
        web=page,
    )
    raise typer.Exit(asyncio.run(playing))


def scenarios(verbose: Verbose = 0) -> None:
    """List the scenarios."""
    from ..scenario_finder import built_in_scenarios

    configure_logging(verbose)
    found = built_in_scenarios()
    width = max(len(scenario.name()) for scenario in found)
    for scenario in found:
        typer.echo(f"{scenario.name():<{width}}  {scenario.headline()}")
        if scenario.takes:
            typer.echo(f"{'':<{width}}  takes {scenario.takes}")


def simulate(
    scenario: Annotated[str, typer.Argument(metavar="[SCENARIO|FILE.py]")] = "",
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ARGUMENT]...", help="What the scenario takes, if anything."),
    ] = None,
    stress: Annotated[
        bool, typer.Option("--stress", help="Instead of a scenario: a story made up by chance.")
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option(help="The first run's seed; the next has the next [default: by chance]."),
    ] = None,
    runs: Annotated[int, typer.Option(min=1, help="How many runs.")] = 1,
    faults: Annotated[
        str,
        typer.Option(metavar="KIND,...", help="What may go wrong; the docs tell the kinds."),
    ] = ",".join(ALL_FAULTS),
    storm: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            metavar="SECONDS",
            help="For how long things go wrong, in virtual time [default: as suits the scenario].",
        ),
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="Spread the runs over processes.")] = 1,
    verbose: Verbose = 0,
) -> None:
    """Run a scenario in virtual time through storms of faults, and see that nothing breaks.

    The exit code is 0 if no invariant was broken. The same seed gives the same run.
    """
    from ..simulate import Order, simulate_runs

    if stress is bool(scenario):
        raise InvalidInput("give either a scenario or --stress")
    order = Order(
        scenario=scenario,
        arguments=tuple(arguments or ()),
        kinds=read_fault_kinds(faults),
        storm_s=storm,
        first_seed=secrets.randbelow(MAX_RANDOM_SEED) if seed is None else seed,
        runs=runs,
        verbosity=verbose,
    )
    raise typer.Exit(simulate_runs(order, processes))


def play_one_worker(
    module_file: Path,
    name: str,
    join: Join,
    time_scale: TimeScale = 1.0,
    arguments: Annotated[list[str] | None, typer.Argument()] = None,
    verbose: Verbose = 0,
) -> None:
    """Play one worker of a scenario that another process plays."""
    from ...security.ticket import read_ticket
    from ..play_worker import close_stdout, play_worker
    from ..scenario_finder import find_scenario, make_scenario

    configure_logging(verbose)
    close_stdout()
    made = make_scenario(find_scenario(str(module_file)), time_scale, arguments or ())
    ticket = read_ticket(take_ticket(join))
    raise typer.Exit(asyncio.run(play_worker(made, name, ticket)))
