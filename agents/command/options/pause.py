"""The options of `muster pause`, `muster resume`, `muster drain` and `muster handover`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ..output import write_line
from .connecting import ask, asks_manager, asks_manager_or_reads

if TYPE_CHECKING:
    from ...client.client import Client


@asks_manager
def pause(client: Client) -> None:
    """Let a running manager assign no more tasks until `muster resume`.

    Tasks that run go on, and tasks can be submitted. With a store, a manager that is started again
    is paused, too.
    """
    running = ask(client, lambda manager: manager.pause())
    tasks = "1 task runs on" if running == 1 else f"{running:,} tasks run on"
    write_line(f"paused: {tasks}" if running else "paused: no task runs")


@asks_manager
def resume(
    client: Client,
    worker: Annotated[
        str | None,
        typer.Argument(metavar="[WORKER]", help="A drained worker that is to get tasks again."),
    ] = None,
) -> None:
    """Let a paused manager assign tasks again, or give tasks to a drained worker again."""
    ask(client, lambda manager: manager.resume(worker))
    write_line("resumed" if worker is None else f"{worker} gets tasks again")


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
    running = ask(client, lambda manager: manager.drain(worker, leaves=not no_leave))
    tasks = "1 task" if running == 1 else f"{running:,} tasks"
    then = "and gets no more until it is resumed" if no_leave else "then it leaves"
    write_line(f"{worker} finishes {tasks}, {then}" if running else f"{worker} is idle, {then}")


@asks_manager_or_reads("store")
def handover(
    client: Client | None,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="STORE", help="The store that the managers share: a file, or a nats:// URL."
        ),
    ] = None,
) -> None:
    """Let a standby manager lead a run, for example before an upgrade; nothing is lost.

    The manager that leads writes everything to its store and closes it. Workers go on with what
    they run, and hand it in to the manager that leads then.
    """
    # Each command imports its own modules when it runs, so that a worker starts quickly.
    from ..handover import describe_standbys, hand_over_by_store  # noqa: PLC0415

    if client is not None:
        standbys = ask(client, lambda manager: manager.hand_over())
        write_line(f"handing the run over to {describe_standbys(standbys)}")
    else:
        write_line(hand_over_by_store(store or ""))
