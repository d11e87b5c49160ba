"""The options of `muster pause`, `muster resume`, `muster drain` and `muster handover`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from ....messages import InvalidInput
from ..console.credentials import ticket_of_environment
from ..console.logging_setup import configure_logging
from ..output import write_line
from .connecting import ConnectTimeout, asks_manager, make_client
from .shared import Insecure, SecretFile, Verbose

if TYPE_CHECKING:
    from ...client.client import Client

# Each command imports its own modules when it runs, so that a worker starts quickly.
# ruff: noqa: PLC0415
# Each option of a command is a parameter; Typer passes them by name.
# ruff: noqa: PLR0917


@asks_manager
def pause(
    client: Client,
) -> None:
    """Let a running manager assign no more tasks until `muster resume`.

    Tasks that run go on, and tasks can be submitted. With a store, a manager that is started again
    is paused, too.
    """
    from ..pause import pause_run

    write_line(asyncio.run(pause_run(client)))


@asks_manager
def resume(
    client: Client,
    worker: Annotated[
        str | None,
        typer.Argument(metavar="[WORKER]", help="A drained worker that is to get tasks again."),
    ] = None,
) -> None:
    """Let a paused manager assign tasks again, or give tasks to a drained worker again."""
    from ..pause import resume_run

    write_line(asyncio.run(resume_run(client, worker)))


@asks_manager
def drain(
    client: Client,
    worker: Annotated[str, typer.Argument(metavar="WORKER", help="The worker's name.")],
    no_leave: Annotated[
        bool,
        typer.Option("--no-leave", help="It stays, without tasks, until `muster resume WORKER`."),
    ] = False,
) -> None:
    """Give a worker no more tasks; it finishes those it has begun, and leaves."""
    from ..pause import drain_worker

    write_line(asyncio.run(drain_worker(client, worker, leaves=not no_leave)))


def handover(
    join: Annotated[
        str | None,
        typer.Option(
            metavar="TICKET", help="The ticket of the manager that leads, or its ticket file."
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="STORE", help="The store that the managers share: a file, or a nats:// URL."
        ),
    ] = None,
    connect_timeout: ConnectTimeout = 10.0,
    secret_file: SecretFile = None,
    insecure: Insecure = False,
    verbose: Verbose = 0,
) -> None:
    """Let a standby manager lead a run, for example before an upgrade; nothing is lost.

    The manager that leads writes everything to its store and closes it. Workers go on with what
    they run, and hand it in to the manager that leads then.
    """
    from ..handover import hand_over_by_store, hand_over_by_ticket

    configure_logging(verbose)
    if join is None and store is None:
        join = ticket_of_environment()
    if (join is None) == (store is None):
        raise InvalidInput("give exactly one of --join and --store")
    if store is not None:
        line = hand_over_by_store(store)
    else:
        client = make_client(join or "", secret_file, connect_timeout, insecure=insecure)
        line = asyncio.run(hand_over_by_ticket(client))
    write_line(line)
