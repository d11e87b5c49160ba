"""Reads from plain values what the adaptive policy knew besides scorecards."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, ValidationError

from ....messages import InvalidInput, Payload, Task
from ....messages.record import Record
from ....messages.wording import summarize
from .prices import TimePrice
from .scorecards.sharpness import NOISES
from .type_figures import FiguresRow

_Figure = Annotated[float, Field(allow_inf_nan=False)]
_Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=0)]


class _Part(Record):
    # A later version may have written more.
    model_config = ConfigDict(extra="ignore")


class StoredPrice(_Part):
    """The price of one worker's time; see `TimePrice`."""

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
        kept: what else `TaskKind.restore` needs.
    """

    fields: dict[str, Payload]
    may_retry: bool
    recent: _Amount
    kept: Annotated[list[_Figure], Field(min_length=7, max_length=7)]

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
        figures: by type and worker, the figures that were looked up last; see `TypeFigures`.
        sharpness: the weights of the noises in use; None for the first ones.
        due_after: after how many events the prices are adjusted next.
        events: the number of events since the prices were last adjusted.
        all_events: the number of events before.
        backlog: how many tasks waited at the last adjustment.
        lasted_s: how long the recent work has taken, in seconds.
        adjusted_at: when the prices were last adjusted, in seconds; None for never.
    """

    prices: dict[str, StoredPrice] = Field(default_factory=dict)
    kinds: list[StoredKind] = Field(default_factory=list)
    figures: dict[str, dict[str, FiguresRow]] = Field(default_factory=dict)
    sharpness: (
        Annotated[list[_Amount], Field(min_length=len(NOISES), max_length=len(NOISES))] | None
    ) = None
    due_after: _Amount = 0.0
    events: _Count = 0
    all_events: _Count = 0
    backlog: _Count = 0
    lasted_s: _Amount = 0.0
    adjusted_at: _Figure | None = None

    def prices_of_workers(self) -> dict[str, TimePrice]:
        """The prices by worker."""
        prices: dict[str, TimePrice] = {}
        for name, each in self.prices.items():
            price = prices[name] = TimePrice(each.slots)
            price.per_s, price.step, price.rising = each.per_s, each.step, each.rising
        return prices


class StoredShares(_Part):
    """What the policy knows besides the scorecards of workers.

    Args:
        skills: the row that scorecards keep of all workers together.
        results: how many results the declared skills predicted or contradicted.
        contradictions: how many contradicted them.
        are_believed: whether declared skills decide.
        market: the kinds of work and the prices.
    """

    skills: dict[str, Payload] = Field(default_factory=dict)
    results: _Count = 0
    contradictions: _Count = 0
    are_believed: bool = True
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
