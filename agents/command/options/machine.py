"""The options of the commands for one machine: `muster doctor`, `bench` and `secret`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from ...runtime.ports import ANY_PORT, DEFAULT_PORT
from ..console.credentials import take_secret, take_ticket
from ..console.exit import EXIT_FAILED
from ..console.logging_setup import configure_logging
from ..output import write_line
from .shared import Insecure, SecretFile, Verbose

# Each command loads what it needs when it runs: a worker starts without what draws reports.
# ruff: noqa: PLC0415
# Each option of a command is a parameter; nobody passes them by position.
# ruff: noqa: PLR0917


def doctor(
    join: Annotated[
        str | None,
        typer.Option(metavar="TICKET", help="Whether a worker could join by this ticket or file."),
    ] = None,
    port: Annotated[
        int,
        typer.Option(min=0, max=65_535, help="Whether a manager could listen on this UDP port."),
    ] = DEFAULT_PORT,
    secret_file: SecretFile = None,
    insecure: Insecure = False,
    verbose: Verbose = 0,
) -> None:
    """Find out why manager and workers do not come together.

    With a ticket it looks at the way to the manager, without at this machine as a manager's; and
    each time at what plain Ceylon agents would read in this directory. The exit code is 0 if all is
    well.
    """
    from ..doctor import examine_installation, examine_manager, examine_network_file, examine_port

    configure_logging(verbose)
    findings = examine_installation()
    ticket = None if join is None else take_ticket(join)
    findings.append(asyncio.run(examine_network_file(Path(), ticket)))
    if ticket is None:
        findings.append(asyncio.run(examine_port(port)))
    else:
        secret = take_secret(secret_file, insecure=insecure)
        findings += asyncio.run(examine_manager(ticket, secret, insecure=insecure))
    for finding in findings:
        write_line(finding.line())
    raise typer.Exit(0 if all(finding.is_well for finding in findings) else EXIT_FAILED)


def run_bench(
    tasks: Annotated[int, typer.Option(min=1, help="How many tasks that do nothing.")] = 10_000,
    workers: Annotated[int, typer.Option(min=1, help="How many worker processes.")] = 2,
    slots: Annotated[int, typer.Option(min=1, help="How many tasks each does at once.")] = 64,
    payload: Annotated[
        str, typer.Option(metavar="SIZE", help="How much data is echoed at a time.")
    ] = "1MB",
    store: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep the run in this new file.")
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="The UDP port to listen on; 0 takes a free one.")
    ] = ANY_PORT,
    insecure: Annotated[bool, typer.Option("--insecure", help="Do not seal frames.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    verbose: Verbose = 0,
) -> None:
    """Measure what a manager and worker processes give on this machine.

    It starts them, has tasks done that do nothing, and ends them.
    """
    from ...bench.crew import BenchPlan
    from ...bench.sizes import read_size
    from ..bench import BenchSettings, bench

    configure_logging(verbose)
    order = BenchSettings(
        crew=BenchPlan(workers, slots, port=port, insecure=insecure, store=store),
        tasks=tasks,
        payload_bytes=read_size(payload),
    )
    raise typer.Exit(asyncio.run(bench(order, as_json=as_json)))


def secret(
    file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write it into this new file, for its owner alone."),
    ] = None,
    verbose: Verbose = 0,
) -> None:
    """Make a secret for a workspace, and print it."""
    from ...security.secret_sources import fresh_secret, write_secret_file

    configure_logging(verbose)
    made = fresh_secret()
    if file is None:
        typer.echo(made.reveal())
    else:
        write_secret_file(file, made)
