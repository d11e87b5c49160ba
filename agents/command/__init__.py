"""The command line: `muster run`, `scenarios`, `manager`, `worker` and `why`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command `muster` and end the process with its exit code.

    Args:
        arguments: what stands behind `muster` on the command line; by default that itself.
    """
    from .app import main as run  # noqa: PLC0415 - the modules beside it are used without it

    run(arguments)
