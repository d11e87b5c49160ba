"""Typed functions of all kinds, for tests in threads, in processes and over Ceylon."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, Optional, TypeVar
from uuid import UUID

import numpy as np
from muster.agents import Handlers, TaskContext
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

T = TypeVar("T")


class Leaf(Enum):
    FINE = "fine"
    COARSE = "coarse"


@dataclass
class Order:
    grams: Decimal
    leaf: Leaf
    due: dt.date
    tags: set[str] = field(default_factory=set)
    parent: Order | None = None


class Receipt(BaseModel):
    total: Annotated[Decimal, Field(gt=0)]
    took: dt.timedelta
    orders: list[Order] = []


class Pair(BaseModel, Generic[T]):
    left: T
    right: T


class Point(NamedTuple):
    x: int
    y: float


class Options(TypedDict, total=False):
    depth: int


ORDER = Order(Decimal("1.50"), Leaf.FINE, dt.date(2026, 5, 1), {"a"})

VALUES: list[tuple[Any, Any]] = [
    (int, 2**63),
    (float, float("inf")),
    (bool, True),
    (str, "Grüße"),
    (bytes, b"\x00\xff"),
    (bytearray, bytearray(b"\x00\xff")),
    (type(None), None),
    (dict[str, Any], {"a": [1, None]}),
    (Decimal, Decimal("1.50")),
    (UUID, UUID(int=7)),
    (dt.datetime, dt.datetime(2026, 5, 1, 12, 30)),  # noqa: DTZ001 - one without a zone
    (dt.datetime, dt.datetime(2026, 5, 1, 12, 30, tzinfo=dt.timezone.utc)),
    (dt.date, dt.date(2026, 5, 1)),
    (dt.time, dt.time(12, 30)),
    (dt.timedelta, dt.timedelta(days=1, seconds=2)),
    (Path, Path("a/b")),
    (Leaf, Leaf.COARSE),
    (Literal["a", "b"], "b"),
    (list[int], [1, 2]),
    (set[Decimal], {Decimal(1), Decimal("2.5")}),
    (frozenset[str], frozenset("ab")),
    (tuple[int, str], (1, "a")),
    (tuple[Path, ...], (Path("a"), Path("b"))),
    (dict[UUID, list[dt.date]], {UUID(int=1): [dt.date(2026, 5, 1)]}),
    (Sequence[Leaf], [Leaf.FINE]),
    (Iterable[Decimal], [Decimal(1)]),
    (Optional[Order], None),  # noqa: UP045
    (Order | None, ORDER),
    (int | str, "1"),
    (Receipt | Order, ORDER),
    (Annotated[int, Field(gt=0)], 5),
    (Order, ORDER),
    (Order, Order(Decimal(1), Leaf.FINE, dt.date(2026, 5, 1), parent=ORDER)),
    (Receipt, Receipt(total=Decimal("3.00"), took=dt.timedelta(seconds=2), orders=[ORDER])),
    (Pair[Decimal], Pair[Decimal](left=Decimal(1), right=Decimal("2.5"))),
    (Point, Point(1, 2.5)),
    (Options, {"depth": 3}),
    (NDArray[np.float32], np.arange(6, dtype="f4").reshape(2, 3)),
    (np.int64, np.int64(5)),
]


def echo_of(declared: Any, seen: list[Any]) -> Any:
    """A function that takes and returns a value of a type, and notes what it got."""

    def echo(value: Any) -> Any:
        seen.append(type(value))
        return value

    echo.__annotations__ = {"value": declared, "return": declared}
    return echo


handlers = Handlers()


@handlers.task
def add(x: int, y: int = 3, *rest: int, **named: int) -> int:
    return x + y + sum(rest) + sum(named.values())


@handlers.task
async def sell(order: Order, *, context: TaskContext) -> Receipt:
    await asyncio.sleep(0)
    assert isinstance(order, Order)
    assert order.leaf is Leaf.FINE
    return Receipt(
        total=order.grams * 2, took=dt.timedelta(seconds=context.attempt), orders=[order]
    )


@handlers.task
def attempt_of(note: str = "", context: TaskContext | None = None) -> int | None:
    return None if context is None else context.attempt


@handlers.task
def wait_later(seconds: float) -> Any:
    """A plain function that returns an awaitable."""
    return asyncio.sleep(seconds, "later")


@handlers.task
def lie(value: list[Any]) -> list[Order]:
    return value  # type: ignore[return-value]


@handlers.task
def later_class(value: Later) -> Later:
    """Declares a class that is defined below."""
    assert isinstance(value, Later)
    return value


@dataclass
class Later:
    number: int


class Scale:
    """An object with methods."""

    def __init__(self, factor: int) -> None:
        self.factor = factor

    def scale(self, grams: Decimal) -> Decimal:
        return grams * self.factor

    @classmethod
    def named(cls, grams: Decimal) -> str:
        return f"{cls.__name__} {grams}"

    @staticmethod
    def halve(grams: Decimal) -> Decimal:
        return grams / 2

    def __call__(self, grams: Decimal, note: str = "") -> Decimal:
        return grams * self.factor


scale = handlers.task("scale")(Scale(3).scale)
named = handlers.task("named")(Scale.named)
halve = handlers.task("halve")(Scale.halve)
called = handlers.task("called")(Scale(4))
doubled = handlers.task("doubled")(partial(add, y=2))

OF_ALL_KINDS: list[tuple[Any, tuple[Any, ...], Any]] = [
    (add, (1, 2, 4), 7),
    (scale, (Decimal("1.5"),), Decimal("4.5")),
    (named, (Decimal("1.5"),), "Scale 1.5"),
    (halve, (Decimal(3),), Decimal("1.5")),
    (called, (Decimal(3),), Decimal(12)),
    (doubled, (1,), 3),
    (wait_later, (0,), "later"),
    (later_class, (Later(5),), Later(5)),
]
