"""What commands that ask a running manager by a client have in common."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..console.credentials import take_secret, take_ticket
from ..console.logging_setup import configure_logging
from .added_options import add_options
from .shared import Insecure, Join, SecretFile, Verbose

if TYPE_CHECKING:
    from ...client.client import Client

CONNECT_TIMEOUT_S = 10.0
ConnectTimeout = Annotated[
    float,
    typer.Option(
        "--connect-timeout", min=0.0, metavar="SECONDS", help="How long to wait for the manager."
    ),
]


def make_client(
    join: str, secret_file: Path | None, connect_timeout_s: float, *, insecure: bool
) -> Client:
    """A client, not yet connected, of the manager that the options of a command name.

    Args:
        join: the ticket, or the file that contains it.
        secret_file: the file with the workspace secret, or None.
        connect_timeout_s: how long to wait for the manager, in seconds.
        insecure: do not encrypt.

    Raises:
        InvalidInput: there is no ticket or no secret there.
    """
    # Other commands start without it.
    from ...client.client import Client  # noqa: PLC0415

    return Client(
        take_ticket(join),
        secret=take_secret(secret_file, insecure=insecure),
        insecure=insecure,
        connect_timeout_s=connect_timeout_s,
    )


_OPTIONS: dict[str, tuple[Any, object]] = {
    "join": (Join, inspect.Parameter.empty),
    "connect_timeout": (ConnectTimeout, CONNECT_TIMEOUT_S),
    "secret_file": (SecretFile, None),
    "insecure": (Insecure, False),
    "verbose": (Verbose, 0),
}


def asks_manager(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options by which a manager is reached; it gets `client` for them."""

    @functools.wraps(command)
    def run(
        *,
        join: str,
        connect_timeout: float,
        secret_file: Path | None,
        insecure: bool,
        verbose: int,
        **given: Any,
    ) -> None:
        configure_logging(verbose)
        command(client=make_client(join, secret_file, connect_timeout, insecure=insecure), **given)

    add_options(run, command, _OPTIONS, instead_of="client")
    return run
