"""Tickets and secrets on the command line: where they come from, and that nobody else sees them.

Whoever may list this machine's processes sees what stands behind a command, and a ticket may carry
a secret. So a ticket is better given as a file, on stdin or in the environment; one that was typed
is overwritten in the list of processes as soon as the command runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from setproctitle import setproctitle

from ....messages import InvalidInput
from ...kernel.security.workspace_secret import WorkspaceSecret
from ...security.secret_sources import read_secret_file
from ...security.ticket import SCHEME, TICKET_VARIABLE

FROM_STDIN = "-"
_MAX_STDIN_CHARACTERS = 16_384


def hide_tickets(arguments: Sequence[str]) -> None:
    """Overwrite tickets among the arguments where the system shows what a process runs."""
    if any(SCHEME in argument for argument in arguments):
        shown = [_without_ticket(argument) for argument in arguments]
        setproctitle(" ".join(["muster", *shown]))


def take_ticket(given: str) -> str:
    """A ticket, or the path of its file, as it was given; "-" reads the ticket from stdin.

    Raises:
        InvalidInput: stdin holds nothing.
    """
    if given.strip() != FROM_STDIN:
        return given
    text = sys.stdin.read(_MAX_STDIN_CHARACTERS).strip()
    if not text:
        raise InvalidInput("--join - reads the ticket from stdin, and stdin is blank")
    if not text.startswith(SCHEME):
        raise InvalidInput(f"stdin holds no ticket, which would begin with '{SCHEME}'")
    return text


def ticket_of_environment() -> str | None:
    """The ticket, or the path of its file, in `MUSTER_TICKET`; None if that is unset or blank."""
    return os.environ.get(TICKET_VARIABLE, "").strip() or None


def take_secret(file: Path | None, *, insecure: bool) -> WorkspaceSecret | None:
    """The secret of a file, or None if no file was given.

    Raises:
        InvalidInput: the file holds none, or the command is to be insecure as well.
    """
    if file is None:
        return None
    if insecure:
        raise InvalidInput("--secret-file and --insecure exclude each other; give one of them")
    return read_secret_file(file)


def _without_ticket(argument: str) -> str:
    before, scheme, _ = argument.partition(SCHEME)
    return f"{before}{scheme}..." if scheme else argument
