"""Finds from a command line whether its command can do without Ceylon, and then leaves it out."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..runtime.ceylon_choice import leave_ceylon_out

_NATS_SCHEMES = ("nats://", "tls://")
_NATS_TICKET = "muster:3:"
_TICKET_VARIABLE = "MUSTER_TICKET"

_WITHOUT_WORKSPACE = frozenset({"replay", "report", "scenarios", "simulate"})
_READERS = frozenset({"schedules", "skills", "status", "why"})
_FILES = frozenset({"--file", "--report", "--store"})
"""With one of these options, readers ask no manager."""


def leave_ceylon_out_if_unused(arguments: Sequence[str]) -> None:
    """Leave Ceylon out of this process if the command that is given does not use it.

    Args:
        arguments: the arguments after `muster`.
    """
    command = next((each for each in arguments if not each.startswith("-")), "")
    options = _options(arguments)
    names = {name for name, _ in options}
    links = [value for name, value in options if name == "--link"]
    tickets = [value for name, value in options if name == "--join"]
    if (
        command in _WITHOUT_WORKSPACE
        or (command in _READERS and not names.isdisjoint(_FILES))
        or (links and all(each.startswith(_NATS_SCHEMES) for each in links))
        or (tickets and all(map(_is_over_nats, tickets)))
    ):
        leave_ceylon_out()


def leave_ceylon_out_for_ticket() -> None:
    """Leave Ceylon out of this process if the ticket in its environment is one over NATS."""
    if _is_over_nats(os.environ.get(_TICKET_VARIABLE, "")):
        leave_ceylon_out()


def _is_over_nats(ticket: str) -> bool:
    if ticket.strip().startswith(_NATS_TICKET):
        return True
    try:
        with open(ticket, "rb") as file:
            return file.read(len(_NATS_TICKET)).decode("ascii", "replace") == _NATS_TICKET
    except (OSError, ValueError):
        # It may appear later, or is no ticket, which others tell.
        return False


def _options(arguments: Sequence[str]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for index, argument in enumerate(arguments):
        if argument == "--":
            break
        option, equals, value = argument.partition("=")
        following = arguments[index + 1] if index + 1 < len(arguments) else ""
        if option.startswith("--"):
            found.append((option, value if equals else following))
    return found
