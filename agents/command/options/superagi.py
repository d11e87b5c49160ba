"""The options of `muster superagi setup` and `check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..console.logging_setup import configure_logging
from .shared import Verbose

# Each command loads what it needs when it runs: a worker starts without what draws reports.
# ruff: noqa: PLC0415

superagi = typer.Typer(no_args_is_help=True, help="Make SuperAGI's tools usable, and try them.")


@superagi.command("setup")
def set_up_superagi(
    python: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The Python to make it with [default: this one]."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where to make it [default: where it is looked for]."),
    ] = None,
    verbose: Verbose = 0,
) -> None:
    """Make a virtual environment with what SuperAGI's tools need."""
    from ..superagi import set_up

    configure_logging(verbose)
    raise typer.Exit(set_up(python, folder, typer.echo))


@superagi.command("check")
def check_superagi(verbose: Verbose = 0) -> None:
    """Say what of SuperAGI works here, and what doesn't.

    The exit code is 0 if everything works.
    """
    from ..superagi import check

    configure_logging(verbose)
    raise typer.Exit(check(typer.echo))
