"""Prices of workers' time, found by raising those of overloaded workers and lowering the others."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp
from typing import Protocol

SPREAD = 0.01
"""How much less valuable a worker may be and still take part in a kind's work, as a value."""

BUSY_SHARE = 0.97
"""The share of its time that a worker may be busy before its time gets dearer."""

GAIN = 4.0
"""How fast prices follow an excess of load, as a part of a step."""

_CUT = 6.0 * SPREAD
_FIRST_STEP = 0.04
_LEAST_STEP = 0.02
_LARGEST_STEP = 0.08
_SLOWER = 0.5
_FASTER = 1.25


class DemandedKind(Protocol):
    """The work of one kind, and what each worker is worth for it."""

    demand: float
    """How many tasks of the kind there are to do."""
    gross: list[float]
    """By worker: the value of an attempt before the price of its time."""
    seconds: list[float]
    """By worker: the expected duration of an attempt, in seconds."""
    worker_indices: list[int]
    """The indices of the workers that may run such tasks."""


class TimePrice:
    """The price of one worker's time.

    Args:
        slots: how many tasks the worker runs at once.
    """

    __slots__ = ("per_s", "rising", "slots", "step")

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.per_s = 0.0
        """What a second of one of its slots is worth to other tasks."""
        self.step = _FIRST_STEP
        self.rising = False


def adjust_prices(
    prices: Sequence[TimePrice], kinds: Sequence[DemandedKind], lasted_s: float
) -> None:
    """Adjust the prices by one step of tatonnement.

    All work is given to the workers that are worth most for it at the current prices. A worker that
    gets more than its share becomes dearer, others cheaper. A step grows while the price moves in
    one direction and shrinks when it turns (as in Rprop, Riedmiller and Braun 1993), so that prices
    settle.

    Args:
        prices: the prices, by worker.
        kinds: the work, of which some is waiting and some was handed out recently.
        lasted_s: the time in which the recent work was handed out, in seconds.
    """
    loads = [0.0] * len(prices)
    per_s = [price.per_s for price in prices]
    tasks = total_s = 0.0
    for kind in kinds:
        demand = kind.demand
        if demand <= 0.0:
            continue
        gross, seconds = kind.gross, kind.seconds
        values = [gross[each] - per_s[each] * seconds[each] for each in kind.worker_indices]
        best = max(values, default=0.0)
        chosen: list[tuple[int, float]] = []
        total = 0.0
        for index, value in zip(kind.worker_indices, values, strict=True):
            if value > best - _CUT:
                weight = exp((value - best) / SPREAD)
                total += weight
                chosen.append((index, weight))
        for index, weight in chosen:
            load_s = demand * seconds[index] * weight / total
            loads[index] += load_s
            total_s += load_s
        tasks += demand
    if not tasks or not total_s:
        return
    mean_s = total_s / tasks
    slots = sum(price.slots for price in prices)
    # Underloaded workers are busy for a part of the time; otherwise all are to finish together.
    share_s = max(BUSY_SHARE * lasted_s, total_s / slots)
    for price, load_s in zip(prices, loads, strict=True):
        excess = load_s / (price.slots * share_s) - 1.0
        rising = excess > 0.0
        if rising is price.rising:
            price.step = min(price.step * _FASTER, _LARGEST_STEP)
        else:
            price.step = max(price.step * _SLOWER, _LEAST_STEP)
            price.rising = rising
        change = price.step * max(-1.0, min(GAIN * excess, 1.0))
        price.per_s = max(price.per_s + change / mean_s, 0.0)
    least = min(price.per_s for price in prices)
    if least > 0.0:
        # Only differences matter if everybody is dear.
        for price in prices:
            price.per_s -= least
