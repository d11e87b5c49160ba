"""Numbers and texts as the HTML page and the Markdown show them."""

from __future__ import annotations

import math

_UNITS = ((1.0, 0.001, "ms"), (120.0, 1.0, "s"), (7_200.0, 60.0, "min"), (math.inf, 3_600.0, "h"))
"""Below how many seconds a duration is told in which unit, and how many seconds that unit has."""

_NO_DECIMALS_FROM = 100

UNKNOWN = "-"
"""What stands where there is no number."""


def tell_duration(seconds: float | None) -> str:
    """A duration for people, such as "4.2 s"."""
    if seconds is None:
        return UNKNOWN
    if seconds == 0:
        return "0 s"
    _, unit_s, unit = unit_of(seconds)
    return f"{_short(seconds / unit_s)} {unit}"


def unit_of(seconds: float) -> tuple[float, float, str]:
    """In which unit a duration is told: below how many seconds, its own seconds, its name."""
    return next((unit for unit in _UNITS if seconds < unit[0]), _UNITS[-1])


def tell_share(share: float | None) -> str:
    """A share as percent; only what is all is 100 %."""
    if share is None:
        return UNKNOWN
    told = f"{share:.1%}"
    if told == "100.0%" and share < 1:
        told = "99.9%"
    return told.replace(".0%", "%")


def clip(text: str, longest: int) -> str:
    """A text on one line, cut off if it is longer, without invisible characters."""
    line = " ".join(text[: longest + 1].split())
    line = "".join(each if each.isprintable() else "�" for each in line)
    return line if len(text) <= longest else f"{line[:longest]}…"


def _short(number: float) -> str:
    if number >= _NO_DECIMALS_FROM:
        return f"{number:,.0f}"
    return f"{number:.1f}".removesuffix(".0")
