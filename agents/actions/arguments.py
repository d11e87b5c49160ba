"""What the actions are given, looked at before anything is done."""

from __future__ import annotations

import math

from ...messages import InvalidInput
from ...messages.wording import show


def check_seconds(name: str, seconds: object, *, may_be_zero: bool = True) -> None:
    """See that something is a length of time.

    Raises:
        InvalidInput: it is no number, below 0, or without an end.
    """
    match seconds:
        case bool():
            is_fine = False
        case int() | float():
            is_fine = math.isfinite(seconds) and (seconds > 0 or (may_be_zero and seconds == 0))
        case _:
            is_fine = False
    if not is_fine:
        lowest = "0 or more" if may_be_zero else "above 0"
        raise InvalidInput(f"{name} is {show(seconds)}; it must be a number of seconds, {lowest}")


def check_count(name: str, count: object) -> None:
    """See that something is a number of things, 1 or more.

    Raises:
        InvalidInput: it is not.
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise InvalidInput(f"{name} is {show(count)}; it must be an integer of 1 or more")
