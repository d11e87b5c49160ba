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
_Amount = Annotated[float, Field(ge=0)]
_Count = Annotated[int, Field(ge=0)]


class _Part(Record):
    model_config = ConfigDict(extra="ignore")


class StoredPrice(_Part):
    """The price of one worker's time; see `Price`."""

    per_s: _Figure = 0.0
    step: _Figure = 0.0
    rising: bool = False
    slots: Annotated[int, Field(ge=1)] = 1


class StoredKind(_Part):
    """How much work of one kind there was lately; see `TaskKind`."""

    task: dict[str, Payload]
    may_retry: bool = False
    recent: _Amount = 0.0
    demand: _Amount = 0.0


class StoredShares(_Part):
    """What the policy knows besides the scorecards of workers.

    Args:
        skills: the row that scorecards keep of all workers together.
        results: how many results the declared skills predicted or contradicted.
        contradictions: how many contradicted them.
        prices: the prices by worker.
        kinds: the kinds of work.
        credit: how much work on prices is due.
        backlog: how many tasks waited at the last adjustment of the prices.
        lasted_s: how long the recent work has taken, in seconds.
        adjusted_at: when the prices were last adjusted, in seconds; None for never.
    """

    skills: dict[str, Payload] = Field(default_factory=dict)
    results: _Count = 0
    contradictions: _Count = 0
    prices: dict[str, StoredPrice] = Field(default_factory=dict)
    kinds: list[StoredKind] = Field(default_factory=list)
    credit: _Amount = 0.0
    backlog: _Count = 0
    lasted_s: _Amount = 0.0
    adjusted_at: _Figure | None = None


def read_shares(row: Payload) -> StoredShares:
    """Read what the policy wrote with `write_shares`.

    Raises:
        InvalidInput: it can't be read; the message names the place and the value.
    """
    try:
        return StoredShares.model_validate(row)
    except ValidationError as fault:
        raise InvalidInput(summarize(fault)) from None


class KindTasks:
    """A task of each kind as plain values, since the kind follows from its fields."""

    def __init__(self) -> None:
        self._known: dict[TaskKind, Mapping[str, Payload]] = {}

    def write(self, kinds: Iterable[TaskKind]) -> list[Payload]:
        """All kinds that had work lately, as plain values."""
        known = self._known
        current = {kind: known.get(kind) or _fields_of(kind.task) for kind in kinds}
        self._known = current
        return [
            {
                "task": task,
                "may_retry": kind.may_retry,
                "recent": kind.recent,
                "demand": kind.demand,
            }
            for kind, task in current.items()
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


def read_kinds(stored: Iterable[StoredKind]) -> list[TaskKind]:
    """The kinds that `KindTasks` wrote.

    Raises:
        InvalidInput: the task of one is not valid.
    """
    kinds: list[TaskKind] = []
    for each in stored:
        try:
            task = Task.model_validate({"id": 1, "description": "any", **each.task})
        except ValidationError as fault:
            raise InvalidInput(f"a kind of task: {summarize(fault)}") from None
        kind = TaskKind(task, may_retry=each.may_retry)
        kind.recent, kind.demand = each.recent, each.demand
        kinds.append(kind)
    return kinds


_OF_ONE_TASK = {"id", "description", "data", "depends_on", "parent_id"}


def _fields_of(task: Task) -> Mapping[str, Payload]:
    dumped = task.model_dump(exclude=_OF_ONE_TASK, exclude_defaults=True)
    return {name: value for name, value in dumped.items() if name in Task.model_fields}
