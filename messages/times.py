"""Times until which a task may be told to wait."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias, cast

from pydantic import AwareDatetime, BeforeValidator, Field

from .rule import Rule

LONGEST_WAIT_S = 315_360_000
"""The longest time for which a task may be told to wait, in seconds: ten years."""


def _refuse_number(value: object) -> object:
    """Refuse a number, which pydantic would read as seconds since 1970."""
    try:
        float(cast("Any", value))
    except (TypeError, ValueError):
        return value
    raise ValueError("is a number")


NotBefore: TypeAlias = Annotated[
    Annotated[float, Field(ge=0, le=LONGEST_WAIT_S, allow_inf_nan=False)]
    | Annotated[AwareDatetime, BeforeValidator(_refuse_number)],
    Rule(
        "must be a datetime with a time zone, or a number of seconds from 0 to "
        f"{LONGEST_WAIT_S:,} (ten years)"
    ),
]
"""A time before which a task does not begin."""

WaitSeconds: TypeAlias = Annotated[
    float,
    Field(ge=0, le=LONGEST_WAIT_S, allow_inf_nan=False),
    Rule(f"must be a number of seconds from 0 to {LONGEST_WAIT_S:,} (ten years)"),
]
"""How long a task is told to wait, in seconds."""
