"""The options of `muster superagi setup` and `check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..console.logging_setup import configure_logging
from .shared import Verbose

# Each command imports its own modules when it runs, so that a worker starts quickly.
# ruff: noqa: PLC0415

superagi = typer.Typer(no_args_is_help=True, help="Install and check SuperAGI's tools.")


@superagi.command("setup")
def set_up_superagi(
    python: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The Python for the environment [default: this one]."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="The environment's folder [default: Muster's data folder]."
        ),
    ] = None,
    verbose: Verbose = 0,
) -> None:
    """Create a virtual environment with the packages of SuperAGI's tools."""
    from ..superagi import set_up

    configure_logging(verbose)
    raise typer.Exit(set_up(python, folder, typer.echo))


@superagi.command("check")
def check_superagi(verbose: Verbose = 0) -> None:
    """Check which parts of SuperAGI work here.

    The exit code is 0 if all of them work.
    """
    from ..superagi import check

    configure_logging(verbose)
    raise typer.Exit(check(typer.echo))
