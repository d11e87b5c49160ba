"""What commands that ask a running manager by a client have in common."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console.credentials import take_secret, take_ticket

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
