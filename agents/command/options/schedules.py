"""The options of `muster schedules`."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated

import typer

from ....messages import InvalidInput
from ..console.credentials import ticket_of_environment
from ..console.logging_setup import configure_logging
from ..output import write_json_text, write_line
from .connecting import ConnectTimeout, make_client
from .shared import Insecure, SecretFile, Verbose

# Each command imports its own modules when it runs, so that a worker starts quickly.
# ruff: noqa: PLC0415
# Each option of a command is a parameter; Typer passes them by name.
# ruff: noqa: PLR0917


def schedules(
    join: Annotated[
        str | None,
        typer.Option(
            metavar="TICKET", help="Ask the running manager with this ticket, or ticket file."
        ),
    ] = None,
    store: Annotated[str | None, typer.Option(metavar="STORE", help="Read this store.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    connect_timeout: ConnectTimeout = 10.0,
    secret_file: SecretFile = None,
    insecure: Insecure = False,
    verbose: Verbose = 0,
) -> None:
    """Show the schedules: when each is due next, and how its last tasks ended."""
    from ...schedules.table import schedule_lines
    from ..schedules import ask_for_schedules, read_stored_schedules

    configure_logging(verbose)
    if join is None and store is None:
        join = ticket_of_environment()
    match join, store:
        case None, str():
            found = read_stored_schedules(store)
        case str(), None:
            client = make_client(join, secret_file, connect_timeout, insecure=insecure)
            found = asyncio.run(ask_for_schedules(client))
        case _:
            raise InvalidInput("give either --join (to ask a running manager) or --store")
    if as_json:
        write_json_text(json.dumps(found))
        return
    for line in schedule_lines(found):
        write_line(line)
