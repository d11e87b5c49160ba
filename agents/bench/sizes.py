"""Reads and writes data sizes such as "1MB" or "64 KiB"."""

from __future__ import annotations

import re

from ...messages import InvalidInput

UNITS = {
    "B": 1,
    "kB": 1_000,
    "MB": 1_000**2,
    "GB": 1_000**3,
    "KiB": 1_024,
    "MiB": 1_024**2,
    "GiB": 1_024**3,
}
"""The bytes of each unit; case does not matter when a size is read."""

_FACTORS = {unit.lower(): factor for unit, factor in UNITS.items()}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", re.ASCII)


def read_size(text: str) -> int:
    """The bytes of a size such as "1MB"; a number without a unit is in bytes.

    Raises:
        InvalidInput: it is no size, or less than one byte.
    """
    match = _SIZE.fullmatch(text.strip())
    factor = _FACTORS.get((match[2] or "B").lower()) if match else None
    if match is None or factor is None:
        raise InvalidInput(
            f"{text!r} is no size; write a number and one of {', '.join(UNITS)}, such as 1MB"
        )
    size_bytes = int(float(match[1]) * factor)
    if size_bytes < 1:
        raise InvalidInput(f"the size {text!r} is less than a byte; it must be 1B or more")
    return size_bytes


def show_size(size_bytes: int) -> str:
    """A size in the largest decimal unit that fits, such as "1.5 MB"."""
    for unit in ("GB", "MB", "kB"):
        if size_bytes >= UNITS[unit]:
            return f"{size_bytes / UNITS[unit]:.4g} {unit}"
    return f"{size_bytes} B"
