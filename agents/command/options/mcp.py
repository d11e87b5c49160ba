"""The options of `muster mcp`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from ....messages import InvalidInput
from ..console.credentials import FROM_STDIN
from ..console.logging_setup import configure_logging
from .connecting import ConnectTimeout, check_one_place, make_client
from .shared import Insecure, SecretFile, Verbose

# Each command imports its own modules when it runs, so that a worker starts quickly.
# ruff: noqa: PLC0415
# Each option of a command is a parameter; Typer passes them by name.
# ruff: noqa: PLR0917


def mcp(
    join: Annotated[
        str | None,
        typer.Option(
            metavar="TICKET",
            help="The running manager's ticket, or a file that contains it [default: "
            "MUSTER_TICKET].",
        ),
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Read this store instead; nothing can be changed."),
    ] = None,
    http: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65_535,
            metavar="PORT",
            help="Serve streamable HTTP on this TCP port of loopback; 0 takes a free one "
            "[default: serve stdio].",
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="With --http, the file that holds the token, or is made with a new one "
            "[default: print a new token].",
        ),
    ] = None,
    connect_timeout: ConnectTimeout = 10.0,
    secret_file: SecretFile = None,
    insecure: Insecure = False,
    verbose: Verbose = 0,
) -> None:
    """Offer a run to assistants that speak MCP: they add tasks, wait for them and ask about them.

    Over stdio, the assistant starts this command. The exit is when stdin ends.
    """
    configure_logging(verbose)
    join = check_one_place(join or None, store=store)
    if http is None and token_file is not None:
        raise InvalidInput("--token-file is for --http; over stdio there is no token")
    if http is None and join is not None and join.strip() == FROM_STDIN:
        raise InvalidInput("--join - reads stdin, which belongs to the MCP client; give a file")
    from ..mcp import serve_over_http, serve_over_stdio

    run = store or make_client(join or "", secret_file, connect_timeout, insecure=insecure)
    if http is None:
        asyncio.run(serve_over_stdio(run))
    else:
        asyncio.run(serve_over_http(run, http, token_file))
