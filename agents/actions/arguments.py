"""Checks the arguments of actions before they start."""

from __future__ import annotations

import math

from ...messages import InvalidInput
from ...messages.wording import show


def check_seconds(name: str, seconds: object, *, may_be_zero: bool = True) -> None:
    """Check that a value is a duration in seconds.

    Raises:
        InvalidInput: it is not a number, negative or infinite.
    """
    match seconds:
        case bool():
            is_valid = False
        case int() | float():
            is_valid = math.isfinite(seconds) and (seconds > 0 or (may_be_zero and seconds == 0))
        case _:
            is_valid = False
    if not is_valid:
        lowest = "0 or more" if may_be_zero else "above 0"
        raise InvalidInput(f"{name} is {show(seconds)}; it must be a number of seconds, {lowest}")


def check_count(name: str, count: object) -> None:
    """Check that a value is an integer of 1 or more.

    Raises:
        InvalidInput: it is not.
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise InvalidInput(f"{name} is {show(count)}; it must be an integer of 1 or more")
