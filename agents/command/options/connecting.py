"""What commands have in common that ask a running manager, or read a file in its place."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from ....messages import InvalidInput
from ..console.credentials import take_secret, ticket_of_environment, wait_for_ticket
from ..console.logging_setup import configure_logging
from .added_options import add_options
from .shared import Insecure, Join, SecretFile, Verbose

if TYPE_CHECKING:
    from ...client.client import Client

_Answer = TypeVar("_Answer")

CONNECT_TIMEOUT_S = 10.0
ConnectTimeout = Annotated[
    float,
    typer.Option(
        "--connect-timeout",
        min=0.0,
        metavar="SECONDS",
        help="How long to wait for the ticket's file, and for the manager.",
    ),
]


def make_client(
    join: str, secret_file: Path | None, connect_timeout_s: float, *, insecure: bool
) -> Client:
    """A client, not yet connected, of the manager that the options of a command name.

    Args:
        join: the ticket, or the file that contains it.
        secret_file: the file with the workspace secret, or None.
        connect_timeout_s: how long to wait for a missing ticket file, and for the manager, in
            seconds.
        insecure: do not encrypt.

    Raises:
        InvalidInput: there is no ticket or no secret there.
    """
    # Other commands start without it.
    from ...client.client import Client  # noqa: PLC0415

    secret = take_secret(secret_file, insecure=insecure)
    return Client(
        wait_for_ticket(join, connect_timeout_s),
        secret=secret,
        insecure=insecure,
        connect_timeout_s=connect_timeout_s,
    )


def ask(client: Client, call: Callable[[Client], Awaitable[_Answer]]) -> _Answer:
    """What a manager answers to a call of its client, which connects for this call alone."""

    async def connect_and_call() -> _Answer:
        async with client:
            return await call(client)

    return asyncio.run(connect_and_call())


_OPTIONS: dict[str, tuple[Any, object]] = {
    "join": (Join, inspect.Parameter.empty),
    "connect_timeout": (ConnectTimeout, CONNECT_TIMEOUT_S),
    "secret_file": (SecretFile, None),
    "insecure": (Insecure, False),
    "verbose": (Verbose, 0),
}
_JOIN_IF_WANTED = Annotated[
    str | None,
    typer.Option(
        metavar="TICKET", help="Ask the running manager with this ticket, or ticket file."
    ),
]


def asks_manager(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options by which a manager is reached; it gets `client` for them."""
    return _with_client(command, ())


def asks_manager_or_reads(*places: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options by which a manager is reached, beside others that name a file.

    Args:
        places: the parameters for those others, of which one is given in place of `--join`. Then
            the command gets None as its `client`.
    """
    return functools.partial(_with_client, places=places)


def check_one_place(join: str | None, **places: object) -> str | None:
    """The ticket, if no other place is given: that of the option, or that of the environment.

    Raises:
        InvalidInput: several places are given, or none.
    """
    if join is None and all(place is None for place in places.values()):
        join = ticket_of_environment()
    if [join, *places.values()].count(None) != len(places):
        raise InvalidInput(
            f"give exactly one of {', '.join(f'--{name}' for name in places)} and --join (to ask a "
            "running manager)"
        )
    return join


def _with_client(command: Callable[..., None], places: tuple[str, ...]) -> Callable[..., None]:
    @functools.wraps(command)
    def run(
        *,
        join: str | None,
        connect_timeout: float,
        secret_file: Path | None,
        insecure: bool,
        verbose: int,
        **given: Any,
    ) -> None:
        configure_logging(verbose)
        if places:
            join = check_one_place(join, **{name: given[name] for name in places})
        client = None
        if join is not None:
            client = make_client(join, secret_file, connect_timeout, insecure=insecure)
        command(client=client, **given)

    join = {"join": (_JOIN_IF_WANTED, None)} if places else {}
    add_options(run, command, {**_OPTIONS, **join}, instead_of="client")
    return run
