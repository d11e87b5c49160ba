"""Durations in words, such as "24 h"."""

from __future__ import annotations


def in_words(seconds: float) -> str:
    """A duration in the unit that suits it, such as "24 h" or "3 days"."""
    for unit, unit_s in (("days", 86_400.0), ("h", 3_600.0), ("min", 60.0)):
        # "48 h" says more than "2 days" to whoever wrote 172,800.
        if seconds >= unit_s * (3 if unit == "days" else 1):
            return f"{seconds / unit_s:.4g} {unit}"
    return f"{seconds:.3g} s"
