"""Finds from a command line whether its command can do without Ceylon, and then leaves it out."""

from __future__ import annotations

from collections.abc import Sequence

from ..runtime.ceylon_choice import leave_ceylon_out

NATS_SCHEMES = ("nats://", "tls://")

_WITHOUT_WORKSPACE = frozenset({"replay", "report", "scenarios", "simulate", "status"})
_READERS = frozenset({"schedules", "skills", "why"})
_FILES = frozenset({"--file", "--report", "--store"})
"""With one of these options, readers ask no manager."""


def leave_ceylon_out_if_unused(arguments: Sequence[str]) -> None:
    """Leave Ceylon out of this process if the command that is given does not use it.

    Args:
        arguments: the arguments after `muster`.
    """
    command = next((each for each in arguments if not each.startswith("-")), "")
    options = dict(_options(arguments))
    reads_files = command in _READERS and not _FILES.isdisjoint(options)
    if (
        command in _WITHOUT_WORKSPACE
        or reads_files
        or options.get("--link", "").startswith(NATS_SCHEMES)
    ):
        leave_ceylon_out()


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
