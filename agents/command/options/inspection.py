"""The options of what looks at a run: `muster why`, `status`, `report`, `diagram` and `check`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from ....messages import InvalidInput
from ...report.file import REPORT_ENDINGS
from ..console.credentials import take_secret, take_ticket, ticket_of_environment
from ..console.logging_setup import configure_logging
from ..diagram_form import Form
from ..output import write_json, write_line
from .shared import AsJson, Insecure, SecretFile, TimeScale, Verbose

# Each command loads what it needs when it runs: a worker starts without what draws reports.
# ruff: noqa: PLC0415
# Each option of a command is a parameter; nobody passes them by position.
# ruff: noqa: PLR0917

StoreFile = Annotated[
    Path, typer.Option(metavar="FILE", help="The file in which a manager keeps its run.")
]
Real = Annotated[
    bool,
    typer.Option("--real", help="Play over real Ceylon, although it could be rehearsed."),
]


def why(
    task: Annotated[str, typer.Argument(help="The task's id.")],
    join: Annotated[
        str | None,
        typer.Option(metavar="TICKET", help="Ask the running manager of this ticket or file."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Look it up in this report.")
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Look it up where a manager keeps its run."),
    ] = None,
    secret_file: SecretFile = None,
    insecure: Insecure = False,
    verbose: Verbose = 0,
) -> None:
    """Tell why a task stands where it stands.

    That is: who was considered for it when it was assigned, or what it waits for.
    """
    from ...security.ticket import read_ticket
    from ..why import ask_manager, ask_report, ask_store, possible_task_ids

    configure_logging(verbose)
    readings = possible_task_ids(task)
    if join is None and report is None and store is None:
        join = ticket_of_environment()
    match (join, report, store):
        case (str(), None, None):
            ticket = read_ticket(take_ticket(join))
            secret = take_secret(secret_file, insecure=insecure)
            lines = asyncio.run(ask_manager(readings, ticket, secret, insecure=insecure))
        case (None, Path(), None):
            lines = ask_report(readings, report)
        case (None, None, Path()):
            lines = ask_store(readings, store)
        case _:
            raise InvalidInput("give one of --join, to ask a running manager, --report and --store")
    for line in lines:
        write_line(line)


def status(
    store: StoreFile,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    verbose: Verbose = 0,
) -> None:
    """Tell how far the run in a store is, and who is at work on it."""
    from ..status import state_of, status_lines
    from ..stored_run import read_stored_run

    configure_logging(verbose)
    found = read_stored_run(store)
    if as_json:
        write_json(state_of(found))
        return
    for line in status_lines(found):
        write_line(line)


def report_run(
    store: StoreFile,
    as_json: AsJson = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "--out",
            metavar="FILE",
            help=f"Write the report here, too; the ending says how: {', '.join(REPORT_ENDINGS)}.",
        ),
    ] = None,
    verbose: Verbose = 0,
) -> None:
    """Report the run in a store, as it stands or as it ended."""
    from ...report.file import check_report_file, write_report
    from ..report import draw_stored_run, show_report
    from ..stored_run import read_stored_run

    configure_logging(verbose)
    check_report_file(output)
    found = read_stored_run(store)
    report = found.report()
    if output is not None:
        write_report(report, output, draw_stored_run(found, output))
    show_report(report, as_json=as_json)


def diagram(
    source: Annotated[
        str, typer.Argument(metavar="[SCENARIO|TRACE]", help="A scenario, or the file of a trace.")
    ] = "",
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ARGUMENT]...", help="What the scenario takes, if anything."),
    ] = None,
    store: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the run that is kept here.")
    ] = None,
    form: Annotated[Form, typer.Option("--as", help="What to draw it as.")] = Form.SEQUENCE,
    max_messages: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="How many messages, bars or tasks are drawn; more are summed up [default: 60].",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write it here; in a .md file it stands in a block."),
    ] = None,
    real: Real = False,
    time_scale: TimeScale = 1.0,
    verbose: Verbose = 0,
) -> None:
    """Draw a run as a Mermaid diagram.

    A scenario is played for it in virtual time, where that is possible.
    """
    from ..diagram import draw, find_trace, output_diagram

    configure_logging(verbose)
    trace = find_trace(source, arguments or (), store, real=real, time_scale=time_scale)
    output_diagram(draw(trace, form, max_messages), output)


def check_diagrams(
    targets: Annotated[
        list[str],
        typer.Argument(metavar="FILE.md|FILE.mmd|SCENARIO...", help="Where the diagrams are."),
    ],
    scenario: Annotated[
        str,
        typer.Option(
            metavar="SCENARIO", help="What diagrams show that do not say which run they show."
        ),
    ] = "",
    trace: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Hold such diagrams against this trace."),
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Hold such diagrams against the run that is kept here."),
    ] = None,
    real: Real = False,
    time_scale: TimeScale = 1.0,
    verbose: Verbose = 0,
) -> None:
    """Hold documented sequence diagrams against runs.

    The exit code is 0 if all of them tell what happened.
    """
    from ..check import Runs, check_all

    configure_logging(verbose)
    runs = Runs(tuple(scenario.split()), trace, store, real, time_scale)
    raise typer.Exit(check_all(targets, runs, write_line))
