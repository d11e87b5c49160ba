"""Formats numbers and texts for the HTML page and the Markdown."""

from __future__ import annotations

import math

_UNITS = ((1.0, 0.001, "ms"), (120.0, 1.0, "s"), (7_200.0, 60.0, "min"), (math.inf, 3_600.0, "h"))
"""Each unit: durations below this number of seconds use it, its length in seconds, its name."""

_NO_DECIMALS_FROM = 100
_NO_DECIMALS_OF_COST_FROM = 10_000

UNKNOWN = "-"
"""Shown where there is no number."""


def format_duration(seconds: float | None) -> str:
    """A duration with its unit, such as "4.2 s"."""
    if seconds is None:
        return UNKNOWN
    if seconds == 0:
        return "0 s"
    _, unit_s, unit = unit_of(seconds)
    return f"{_short(seconds / unit_s)} {unit}"


def unit_of(seconds: float) -> tuple[float, float, str]:
    """The unit for a duration: the limit in seconds, its length in seconds, its name."""
    return next((unit for unit in _UNITS if seconds < unit[0]), _UNITS[-1])


def format_share(share: float | None) -> str:
    """A share as a percentage; only 1.0 becomes 100 %."""
    if share is None:
        return UNKNOWN
    text = f"{share:.1%}"
    if text == "100.0%" and share < 1:
        text = "99.9%"
    return text.replace(".0%", "%")


def format_cost(cost: float | None, unit: str = "") -> str:
    """A cost with its unit, such as "0.0124 USD"."""
    if cost is None:
        return UNKNOWN
    number = f"{cost:,.0f}" if cost >= _NO_DECIMALS_OF_COST_FROM else f"{cost:.4g}"
    return f"{number} {unit}" if unit else number


def format_grade(grade: float | None) -> str:
    """A grade from 0 to 1 with two decimals."""
    return UNKNOWN if grade is None else f"{grade:.2f}"


def clip(text: str, longest: int) -> str:
    """A text on one line, shortened if necessary, without invisible characters."""
    line = " ".join(text[: longest + 1].split())
    line = "".join(each if each.isprintable() else "�" for each in line)
    return line if len(text) <= longest else f"{line[:longest]}…"


def _short(number: float) -> str:
    if number >= _NO_DECIMALS_FROM:
        return f"{number:,.0f}"
    return f"{number:.1f}".removesuffix(".0")
