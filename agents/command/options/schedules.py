"""The options of `muster schedules`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from ..output import write_json_text, write_line
from .connecting import ask, asks_manager_or_reads

if TYPE_CHECKING:
    from ...client.client import Client

# Each command imports its own modules when it runs, so that a worker starts quickly.
# ruff: noqa: PLC0415


@asks_manager_or_reads("store")
def schedules(
    client: Client | None,
    store: Annotated[str | None, typer.Option(metavar="STORE", help="Read this store.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the schedules: when each is due next, and how its last tasks ended."""
    from ...runtime.clock import wall_now
    from ...schedules.listing import list_schedules
    from ...schedules.table import schedule_lines
    from ..stored_run import read_stored_run

    if client is not None:
        found = ask(client, lambda manager: manager.schedules())
    else:
        # Which of them are active, only their manager knows.
        found = list_schedules(read_stored_run(store or "").board, wall_now())
    if as_json:
        write_json_text(json.dumps(found))
        return
    for line in schedule_lines(found):
        write_line(line)
