"""Limits: how many tasks may begin in a period, or be in progress at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, TypeAlias, cast

from pydantic import ConfigDict, Field, StrictInt, StringConstraints, model_validator
from typing_extensions import Self

from .errors import InvalidInput
from .record import Record
from .rule import Rule
from .wording import show

MAX_KEY_CHARACTERS = 200
MAX_CONCURRENT = 1_000_000
MAX_LIMITS = 1_000
LONGEST_PERIOD_S = 366 * 86_400.0

MIN_WEIGHT, MAX_WEIGHT = 0.01, 100.0
"""The bounds of a weight, so that every key gets its turn after a bounded number of others."""

LimitKey: TypeAlias = Annotated[
    str,
    StringConstraints(pattern=r"\S", max_length=MAX_KEY_CHARACTERS),
    Rule(f"must be text that is not blank, {MAX_KEY_CHARACTERS} characters at most"),
]
"""The key of a task, by which limits and turns go."""

_Count: TypeAlias = Annotated[
    StrictInt,
    Field(ge=1, le=MAX_CONCURRENT),
    Rule(f"must be an integer from 1 to {MAX_CONCURRENT:,}"),
]


class Limit(Record):
    """How many tasks may begin in a period, or be in progress at once.

    ```python
    Limit("send_mail", rate=100, per_s=60)     # 100 in any minute
    Limit(each_key=True, concurrent=2)         # 2 at once of each `limit_key`
    Limit(key="customer-7", concurrent=5)      # but 5 of this one
    ```

    A task must be within all limits that apply to it. Only a limit of one key takes the place of
    the limit of each key, if both are of the same type or both of none.

    Args:
        type: the task type that is limited; None for tasks of all types.
        key: the `limit_key` of the tasks that are limited.
        each_key: whether each `limit_key` has this limit for itself. With neither `key` nor
            `each_key`, it limits all these tasks together, with a key and without.
        concurrent: how many tasks may be in progress at once, 1 or more; None for no limit.
        rate: how many tasks may begin in any `per_s` seconds, 1 or more; None for no limit.
        per_s: the period of `rate` in seconds, above 0; a time scale does not change it.
        burst: how many of the `rate` may begin at once, from 1 to `rate`; the others begin evenly
            over the period. By default all may.

    Raises:
        pydantic.ValidationError: a field is invalid, or they contradict one another.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Annotated[
        str | None,
        StringConstraints(pattern=r"\S", max_length=200),
        Rule("must be a task type of at most 200 characters; leave it out to limit all types"),
    ] = Field(default=None, kw_only=False)
    key: LimitKey | None = None
    each_key: bool = False
    concurrent: _Count | None = None
    rate: _Count | None = None
    per_s: Annotated[
        float | None,
        Field(gt=0, le=LONGEST_PERIOD_S, allow_inf_nan=False),
        Rule("must be a number of seconds above 0, a year at most"),
    ] = None
    burst: _Count | None = None

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.rate is None and self.concurrent is None:
            raise ValueError("limits nothing; give it concurrent, or rate and per_s")
        if (self.rate is None) is not (self.per_s is None):
            given, missing = ("rate", "per_s") if self.per_s is None else ("per_s", "rate")
            raise ValueError(
                f"has {given} without {missing}; a rate is so many tasks per_s seconds"
            )
        if self.burst is not None and self.rate is None:
            raise ValueError("has burst without rate; give it rate and per_s, too")
        if self.burst is not None and self.rate is not None and self.burst > self.rate:
            raise ValueError(
                f"has a burst of {self.burst}, more than its rate of {self.rate}; no more than the "
                "rate can begin at once"
            )
        if self.key is not None and self.each_key:
            raise ValueError("has key and each_key; give one of them")
        return self

    @property
    def scope(self) -> tuple[str | None, str | None, bool]:
        """What it limits: the type, the key, and whether each key has it for itself."""
        return (self.type, self.key, self.each_key)

    def describe_scope(self, key: str | None = None) -> str:
        """What it limits in words, such as "send_mail tasks".

        Args:
            key: the key for which it counts, if each key has it for itself.
        """
        key = self.key or key
        if key is None and self.each_key:
            key = "each key"
        if self.type is None:
            return "tasks" if key is None else f"tasks of {key}"
        return f"{self.type} tasks" if key is None else f"{self.type} tasks of {key}"

    def describe_rate(self, key: str | None = None) -> str:
        """Its rate in words, such as "100 send_mail tasks a minute"; "" if it has none."""
        if self.rate is None or self.per_s is None:
            return ""
        period = _PERIODS.get(self.per_s, f"in {self.per_s:g} s")
        return f"{self.rate:,} {self.describe_scope(key)} {period}"


_PERIODS = {1.0: "a second", 60.0: "a minute", 3_600.0: "an hour", 86_400.0: "a day"}


def check_limits(limits: Iterable[object]) -> tuple[Limit, ...]:
    """Check limits that are to hold together.

    Raises:
        InvalidInput: one is no `Limit`, or two limit the same; the message names them.
    """
    if isinstance(limits, Limit | str):
        raise InvalidInput(
            f"limits is a {type(limits).__name__}; give a list, such as [Limit(concurrent=5)]"
        )
    checked: dict[tuple[str | None, str | None, bool], Limit] = {}
    for limit in limits:
        if not isinstance(limit, Limit):
            raise InvalidInput(
                f"limits contains {show(limit)}; each must be a Limit, such as Limit(concurrent=5)"
            )
        if limit.scope in checked:
            raise InvalidInput(
                f"two limits are for {limit.describe_scope()}: {checked[limit.scope]!r} and "
                f"{limit!r}; give one, which may have both concurrent and rate"
            )
        checked[limit.scope] = limit
    if len(checked) > MAX_LIMITS:
        raise InvalidInput(
            f"there are {len(checked):,} limits; {MAX_LIMITS:,} at most: give one with each_key"
        )
    return tuple(checked.values())


def check_weights(weights: object) -> dict[str, float]:
    """Check the weights of keys.

    Raises:
        InvalidInput: a key is blank or too long, or a weight is out of range.
    """
    if not isinstance(weights, Mapping):
        raise InvalidInput(
            f'weights is {show(weights)}; give a weight for each key, such as {{"customer-7": 3}}'
        )
    checked: dict[str, float] = {}
    for key, weight in cast("Mapping[object, object]", weights).items():
        if not isinstance(key, str) or not key.strip() or len(key) > MAX_KEY_CHARACTERS:
            raise InvalidInput(
                f"weights has the key {show(key)}; a key is text that is not blank, "
                f"{MAX_KEY_CHARACTERS} characters at most"
            )
        if (
            isinstance(weight, bool)
            or not isinstance(weight, int | float)
            or not MIN_WEIGHT <= weight <= MAX_WEIGHT
        ):
            raise InvalidInput(
                f"the weight of {key!r} is {show(weight)}; it must be a number from "
                f"{MIN_WEIGHT:g} to {MAX_WEIGHT:g}, and 1 is the weight of keys without one"
            )
        checked[key] = weight
    return checked
