"""The options of `muster doctor`, `bench` and `secret`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from ...runtime.ports import ANY_PORT, DEFAULT_PORT
from ..console.credentials import take_secret, take_ticket
from ..console.exit import EXIT_FAILED, EXIT_OK
from ..console.logging_setup import configure_logging
from ..output import write_line
from .shared import Insecure, SecretFile, Verbose

# Each command imports its own modules when it runs, so that a worker starts quickly.
# ruff: noqa: PLC0415
# Each option of a command is a parameter; Typer passes them by name.
# ruff: noqa: PLR0917


def doctor(
    join: Annotated[
        str | None,
        typer.Option(
            metavar="TICKET", help="Check whether a worker can join with this ticket or file."
        ),
    ] = None,
    port: Annotated[
        int,
        typer.Option(
            min=0, max=65_535, help="Check whether a manager can listen on this UDP port."
        ),
    ] = DEFAULT_PORT,
    secret_file: SecretFile = None,
    insecure: Insecure = False,
    verbose: Verbose = 0,
) -> None:
    """Diagnose why manager and workers do not connect.

    With a ticket it checks the connection to the manager, without one whether a manager can run on
    this machine. It also checks the network file that plain Ceylon agents read in this directory.
    The exit code is 0 if every check succeeds.
    """
    from ...runtime.ceylon_choice import is_ceylon_left_out
    from ..doctor import (
        NetworkFinding,
        examine_installation,
        examine_manager,
        examine_network_file,
        examine_port,
    )

    configure_logging(verbose)
    ticket = None if join is None else take_ticket(join)
    findings: list[NetworkFinding] = []
    if not is_ceylon_left_out():
        # A ticket over NATS needs none of it.
        findings += examine_installation()
        findings.append(asyncio.run(examine_network_file(Path(), ticket)))
    if ticket is None:
        findings.append(asyncio.run(examine_port(port)))
    else:
        secret = take_secret(secret_file, insecure=insecure)
        findings += asyncio.run(examine_manager(ticket, secret, insecure=insecure))
    for finding in findings:
        write_line(finding.line())
    raise typer.Exit(EXIT_OK if all(finding.is_ok for finding in findings) else EXIT_FAILED)


def run_bench(
    tasks: Annotated[int, typer.Option(min=1, help="The number of no-op tasks.")] = 10_000,
    workers: Annotated[int, typer.Option(min=1, help="The number of worker processes.")] = 2,
    slots: Annotated[int, typer.Option(min=1, help="Concurrent tasks of each worker.")] = 64,
    payload: Annotated[
        str, typer.Option(metavar="SIZE", help="The size of each echoed payload.")
    ] = "1MB",
    store: Annotated[
        str | None,
        typer.Option(metavar="STORE", help="Keep the run in this store: a new file, or a URL."),
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="The UDP port to listen on; 0 takes a free one.")
    ] = ANY_PORT,
    insecure: Annotated[bool, typer.Option("--insecure", help="Do not seal frames.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    verbose: Verbose = 0,
) -> None:
    """Measure throughput, latency and memory on this machine.

    It starts a manager and worker processes, runs no-op tasks and payloads, and stops them.
    """
    from ...bench.sizes import read_size
    from ...bench.workers import BenchPlan
    from ...store.places import read_place
    from ..bench import BenchSettings, bench

    configure_logging(verbose)
    place = None if store is None else read_place(store)
    settings = BenchSettings(
        plan=BenchPlan(workers, slots, port=port, insecure=insecure, store=place),
        tasks=tasks,
        payload_bytes=read_size(payload),
    )
    raise typer.Exit(asyncio.run(bench(settings, as_json=as_json)))


def secret(
    file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write it to this new file, which only its owner can read."
        ),
    ] = None,
    verbose: Verbose = 0,
) -> None:
    """Create a workspace secret and print it."""
    from ...security.secret_sources import fresh_secret, write_secret_file

    configure_logging(verbose)
    made = fresh_secret()
    if file is None:
        typer.echo(made.reveal())
    else:
        write_secret_file(file, made)
