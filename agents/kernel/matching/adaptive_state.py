"""What the adaptive policy knows besides scorecards, as plain values for a store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import ConfigDict, Field, ValidationError

from ....messages import InvalidInput, Payload, Task
from ....messages.record import Record
from ....messages.wording import summarize
from .prices import Price
from .task_kinds import TaskKind

_Figure = Annotated[float, Field(allow_inf_nan=False)]
_Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=0)]


class _Part(Record):
    # A later version may have written more.
    model_config = ConfigDict(extra="ignore")


class StoredPrice(_Part):
    """The price of one worker's time; see `Price`."""

    per_s: _Figure
    step: _Figure
    rising: bool
    slots: Annotated[int, Field(ge=1)]


class StoredKind(_Part):
    """How much work of one kind there was lately; see `TaskKind`.

    Args:
        fields: the fields of a task of this kind, from which the kind follows.
        may_retry: whether another attempt follows a failed one.
        recent: how many of these tasks were handed out lately.
    """

    fields: dict[str, Payload]
    may_retry: bool
    recent: _Amount

    def task(self) -> Task:
        """A task of this kind.

        Raises:
            InvalidInput: there can be none.
        """
        try:
            return Task.model_validate({"id": 1, "description": "any", **self.fields})
        except ValidationError as fault:
            raise InvalidInput(f"a kind of task: {summarize(fault)}") from None


class StoredMarket(_Part):
    """The kinds of work and the prices of workers' time; see `Market`.

    Args:
        prices: the prices by worker.
        kinds: the kinds of work, in their order.
        events: the number of events since the prices were last adjusted.
        all_events: the number of events before.
        backlog: how many tasks waited at the last adjustment.
        lasted_s: how long the recent work has taken, in seconds.
        adjusted_at: when the prices were last adjusted, in seconds; None for never.
    """

    prices: dict[str, StoredPrice] = Field(default_factory=dict)
    kinds: list[StoredKind] = Field(default_factory=list)
    events: _Count = 0
    all_events: _Count = 0
    backlog: _Count = 0
    lasted_s: _Amount = 0.0
    adjusted_at: _Figure | None = None


class StoredShares(_Part):
    """What the policy knows besides the scorecards of workers.

    Args:
        skills: the row that scorecards keep of all workers together.
        results: how many results the declared skills predicted or contradicted.
        contradictions: how many contradicted them.
        market: the kinds of work and the prices.
    """

    skills: dict[str, Payload] = Field(default_factory=dict)
    results: _Count = 0
    contradictions: _Count = 0
    market: StoredMarket = Field(default_factory=StoredMarket)


def read_shares(row: Payload) -> StoredShares:
    """Read what the policy wrote.

    Raises:
        InvalidInput: it can't be read; the message names the place and the value.
    """
    try:
        return StoredShares.model_validate(row)
    except ValidationError as fault:
        raise InvalidInput(summarize(fault)) from None


class KindWriter:
    """Writes kinds as plain values; each one's task is converted once."""

    def __init__(self) -> None:
        self._known: dict[TaskKind, Payload] = {}

    def write(self, kinds: Iterable[TaskKind]) -> list[Payload]:
        """The kinds as `StoredKind` reads them."""
        known = self._known
        self._known = {kind: known.get(kind) or _fields_of(kind.task) for kind in kinds}
        return [
            {"fields": fields, "may_retry": kind.may_retry, "recent": kind.recent}
            for kind, fields in self._known.items()
        ]


def write_prices(prices: Mapping[str, Price]) -> dict[str, Payload]:
    """The prices as plain values."""
    return {
        name: {"per_s": each.per_s, "step": each.step, "rising": each.rising, "slots": each.slots}
        for name, each in prices.items()
    }


def read_prices(stored: Mapping[str, StoredPrice]) -> dict[str, Price]:
    """The prices that `write_prices` wrote."""
    prices: dict[str, Price] = {}
    for name, each in stored.items():
        price = prices[name] = Price(each.slots)
        price.per_s, price.step, price.rising = each.per_s, each.step, each.rising
    return prices


_OF_ONE_TASK = {"id", "description", "data", "depends_on", "parent_id"}


def _fields_of(task: Task) -> Payload:
    dumped = task.model_dump(exclude=_OF_ONE_TASK, exclude_defaults=True)
    return {name: value for name, value in dumped.items() if name in Task.model_fields}
