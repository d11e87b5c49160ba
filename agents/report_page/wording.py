"""Numbers and texts as the page shows them."""

from __future__ import annotations

_UNITS = ((1, 0.001, "ms"), (120, 1, "s"), (7_200, 60, "min"))
"""Below how many seconds a duration is told in which unit, and how many seconds that unit has."""

_LEAST_DECIMALS_FROM = 100


def tell_duration(seconds: float | None) -> str:
    """A duration for people, such as "4.2 s"."""
    if seconds is None:
        return "–"
    for below, unit_s, unit in _UNITS:
        if seconds < below:
            return f"{_short(seconds / unit_s)} {unit}"
    return f"{_short(seconds / 3_600)} h"


def tell_share(share: float | None) -> str:
    """A share as percent; only what is all is 100 %."""
    if share is None:
        return "–"
    told = f"{share:.1%}"
    if told == "100.0%" and share < 1:
        told = "99.9%"
    return told.replace(".0%", "%")


def clip(text: str, longest: int) -> str:
    """A text on one line, cut off with an ellipsis if it is longer; without invisible characters."""
    line = " ".join(text[: longest + 1].split())
    line = "".join(each if each.isprintable() else "�" for each in line)
    return line if len(text) <= longest else f"{line[:longest]}…"


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= _LEAST_DECIMALS_FROM else f"{number:.1f}".removesuffix(".0")
