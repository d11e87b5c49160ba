"""Reads tickets and secrets for a command, and hides them in the list of processes.

Every user of a machine can see the arguments of its processes, and a ticket may contain a secret.
Therefore pass a ticket as a file, on stdin or in the environment. A ticket in the arguments is
overwritten in the list of processes as soon as the command runs.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from setproctitle import setproctitle

from ....messages import InvalidInput
from ...kernel.security.workspace_secret import WorkspaceSecret
from ...security.secret_sources import read_secret_file
from ...security.ticket import SCHEME, TICKET_VARIABLE, Ticket, read_ticket, show_text
from .exit import print_message

FROM_STDIN = "-"
_MAX_STDIN_CHARACTERS = 16_384
_TICKET_POLL_INTERVAL_S = 0.1


def hide_tickets(arguments: Sequence[str]) -> None:
    """Overwrite tickets among the arguments in the system's list of processes."""
    if any(SCHEME in argument for argument in arguments):
        shown = [_without_ticket(argument) for argument in arguments]
        setproctitle(" ".join(["muster", *shown]))


def take_ticket(given: str) -> str:
    """A ticket, or the path of its file; "-" reads the ticket from stdin.

    Raises:
        InvalidInput: stdin contains no ticket.
    """
    if given.strip() != FROM_STDIN:
        return given
    text = sys.stdin.read(_MAX_STDIN_CHARACTERS).strip()
    if not text:
        raise InvalidInput("--join - reads the ticket from stdin, but stdin is empty")
    if not text.startswith(SCHEME):
        raise InvalidInput(f"stdin contains no ticket; a ticket starts with '{SCHEME}'")
    return text


def wait_for_ticket(given: str, timeout_s: float) -> Ticket | Path:
    """Read a ticket; if its file does not exist yet, wait for the file.

    A worker or client with the path of a file reads it again after its manager has restarted.

    Args:
        given: the ticket, or the path of its file; "-" reads the ticket from stdin.
        timeout_s: how long to wait, in seconds.

    Returns:
        The ticket, or the path of its file.

    Raises:
        InvalidInput: the file did not appear in time, or does not contain a ticket.
    """
    text = take_ticket(given)
    path = Path(text)
    if not text.strip() or text.strip().startswith(SCHEME):
        return read_ticket(text)
    deadline = time.monotonic() + timeout_s
    if timeout_s > 0 and not path.exists():
        print_message(f"waiting up to {timeout_s:g} s for the ticket file {show_text(text)}")
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(_TICKET_POLL_INTERVAL_S)
    read_ticket(path)
    return path


def ticket_of_environment() -> str | None:
    """The ticket, or the path of its file, from `MUSTER_TICKET`; None if it is unset or blank."""
    return os.environ.get(TICKET_VARIABLE, "").strip() or None


def take_secret(file: Path | None, *, insecure: bool) -> WorkspaceSecret | None:
    """The secret from a file, or None without a file.

    Raises:
        InvalidInput: the file contains no secret, or `--insecure` is given as well.
    """
    if file is None:
        return None
    if insecure:
        raise InvalidInput("--secret-file and --insecure exclude each other; give one of them")
    return read_secret_file(file)


def _without_ticket(argument: str) -> str:
    before, scheme, _ = argument.partition(SCHEME)
    return f"{before}{scheme}..." if scheme else argument
