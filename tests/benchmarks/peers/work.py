"""What the peers' tasks do."""

from __future__ import annotations


def nothing(argument: dict[str, int]) -> int:
    """Do nothing, and tell which one of many it was that was not done."""
    return argument["n"]


def echo(payload: bytes) -> bytes:
    """Give back what was given."""
    return payload
