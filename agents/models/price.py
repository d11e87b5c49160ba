"""What a model costs by its tokens, and what one task may use of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

from ...messages import InvalidInput
from ...messages.wording import show

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs, in the manager's unit of costs. Muster knows no prices of its own.

    Args:
        in_per_million: the price of a million tokens that go in, 0 or more.
        out_per_million: the price of a million tokens that come out, 0 or more.

    Raises:
        InvalidInput: a price is below 0, or no finite number.
    """

    in_per_million: float
    out_per_million: float

    def __post_init__(self) -> None:
        _check("in_per_million", self.in_per_million, is_positive=False)
        _check("out_per_million", self.out_per_million, is_positive=False)

    def of(self, tokens_in: float, tokens_out: float) -> float:
        """The price of so many tokens."""
        total = tokens_in * self.in_per_million + tokens_out * self.out_per_million
        return total / _MILLION


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """What a model may use for one attempt at a task.

    Args:
        max_turns: how often the model is asked, 1 or more: each time it has called tools, it is
            asked again.
        max_tokens: how many tokens may go in and come out together, 1 or more.
        max_s: how long it may take, in seconds, above 0. What its tools wait for subtasks and
            people does not count.
        max_cost: what it may cost, in the manager's unit; None for no limit. It needs a price.

    Raises:
        InvalidInput: a limit is out of range.
    """

    max_turns: int = 10
    max_tokens: int = 100_000
    max_s: float = 600.0
    max_cost: float | None = None

    def __post_init__(self) -> None:
        for name in ("max_turns", "max_tokens"):
            value: object = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InvalidInput(f"{name} is {show(value)}; it must be a whole number from 1")
        _check("max_s", self.max_s, is_positive=True)
        if self.max_cost is not None:
            _check("max_cost", self.max_cost, is_positive=True)


def _check(name: str, value: object, *, is_positive: bool) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    number = cast("float", value) if is_number else math.nan
    if not math.isfinite(number) or number < 0 or (is_positive and not number):
        rule = "above 0" if is_positive else "of 0 or more"
        raise InvalidInput(f"{name} is {show(value)}; it must be a finite number {rule}")
