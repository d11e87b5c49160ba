"""Which values JSON can carry unchanged, and how a time is written as an ISO 8601 timestamp."""

from __future__ import annotations

import math
from datetime import datetime
from typing import cast

_MAX_LEVELS = 64
_MAX_BITS = 10_000
"""Python does not parse longer integers from text."""


def explain_unwritable(name: str, value: object) -> str | None:
    """Explain which part of a value JSON can't carry; None if JSON can carry all of it.

    The part is named by its path, such as "data['rows'][3]". A tuple becomes a list; all other
    values stay the same.

    Args:
        name: what the value is called in the explanation.
        value: the value.
    """
    # A stack instead of recursion, since the value may be nested without end.
    remaining = [(name, value, 1)]
    while remaining:
        path, part, depth = remaining.pop()
        if depth > _MAX_LEVELS:
            return f"{name} is nested over {_MAX_LEVELS} levels deep, or contains itself"
        match part:
            case None | bool() | str():
                pass
            case int():
                if part.bit_length() > _MAX_BITS:
                    return f"{path} is an integer of more than {_MAX_BITS:,} bits"
            case float():
                if not math.isfinite(part):
                    return f"{path} is {part}, which JSON can't represent"
            case list() | tuple():
                items = cast("list[object]", part)
                remaining += [
                    (f"{path}[{index}]", item, depth + 1) for index, item in enumerate(items)
                ]
            case dict():
                entries = cast("dict[object, object]", part)
                for key in entries:
                    if not isinstance(key, str):
                        return f"{path} has the key {key!r} ({type(key).__name__}), not text"
                remaining += [
                    (f"{path}[{key!r}]", item, depth + 1) for key, item in entries.items()
                ]
            case _:
                return f"JSON can't carry {path}, which is of the type {type(part).__name__}"
    return None


def to_timestamp(at: float) -> str:
    """Convert seconds since 1970 to a timestamp, such as "2024-01-01T10:00:00.250000+01:00".

    It is in local time, for people. The offset from UTC makes it unambiguous everywhere, also in
    the hour that occurs twice when clocks are set back.
    """
    return datetime.fromtimestamp(at).astimezone().isoformat()


def from_timestamp(text: str) -> float:
    """Convert a timestamp to seconds since 1970; one without an offset is in local time.

    In an hour that occurs twice, a timestamp without an offset means the first one.

    Raises:
        ValueError: it is not a timestamp.
    """
    # Python 3.10 does not parse "Z".
    moment = datetime.fromisoformat(f"{text[:-1]}+00:00" if text.endswith("Z") else text)
    try:
        return moment.timestamp()
    except (OverflowError, OSError) as fault:
        raise ValueError(f"{text!r} is out of range: {fault}") from None
