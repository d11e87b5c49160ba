"""The command line `muster`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

__all__ = ["main"]

_INTERRUPTED = 130
"""The exit code after Ctrl-C: 128 and the number of SIGINT."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command `muster` and end the process with its exit code.

    Args:
        arguments: the arguments after `muster`; by default those of the command line.
    """
    try:
        from .app import main as run  # noqa: PLC0415 - other modules here don't need it
    except KeyboardInterrupt:
        # It takes a moment, and nothing has begun.
        raise SystemExit(_INTERRUPTED) from None
    run(arguments)
