"""Finds what JSON would not give back as it was, and names the place, such as "data['rows'][3]"."""

from __future__ import annotations

import math
from typing import cast

_MAX_LEVELS = 64
_MAX_BITS = 10_000
"""Longer integers are more than Python reads back from text."""


def explain_unwritable(name: str, value: object) -> str | None:
    """Tell what of a value JSON can't carry, where it is and why; None if it can carry all.

    A tuple comes back as a list; everything else comes back as it was.

    Args:
        name: what the value is called.
        value: the value.
    """
    # A stack and no recursion, for what is looked at may be nested without end.
    to_look_at = [(name, value, 1)]
    while to_look_at:
        place, looked_at, depth = to_look_at.pop()
        if depth > _MAX_LEVELS:
            return f"{name} is nested over {_MAX_LEVELS} levels deep, or holds itself"
        match looked_at:
            case None | bool() | str():
                pass
            case int():
                if looked_at.bit_length() > _MAX_BITS:
                    return f"{place} is an integer of more than {_MAX_BITS:,} bits"
            case float():
                if not math.isfinite(looked_at):
                    return f"{place} is {looked_at}, a number that JSON lacks"
            case list() | tuple():
                items = cast("list[object]", looked_at)
                to_look_at += [
                    (f"{place}[{index}]", item, depth + 1) for index, item in enumerate(items)
                ]
            case dict():
                entries = cast("dict[object, object]", looked_at)
                for key in entries:
                    if not isinstance(key, str):
                        return f"{place} has the key {key!r} ({type(key).__name__}), not text"
                to_look_at += [
                    (f"{place}[{key!r}]", item, depth + 1) for key, item in entries.items()
                ]
            case _:
                return f"JSON can't carry {place}, which is of the type {type(looked_at).__name__}"
    return None
