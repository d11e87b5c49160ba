"""Turns: the keys of waiting tasks share the workers by weights, in deficit round robin."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .keyed_queue import Lane

_ROUNDING = 1e-9


class Share:
    """The place of one key in the turns of one level of priority.

    Args:
        key: the key; "" for tasks without one.
        level: the level of priority.
        weight: how many tasks it may begin in each round.
    """

    __slots__ = ("credit", "key", "lanes", "level", "round", "turn", "weight")

    def __init__(self, key: str, level: float, weight: float) -> None:
        self.key = key
        self.level = level
        self.weight = weight
        self.credit = 0.0
        """How many tasks it may still begin in this turn."""
        self.round = 0
        self.turn = 0
        """Its place in the round; no two shares have the same."""
        # Bounded by the waiting tasks.
        self.lanes: dict[Lane, None] = {}
        """Its waiting tasks, by group."""


class _Level:
    """The turns of one level of priority."""

    __slots__ = ("round", "shares")

    def __init__(self) -> None:
        self.round = 0
        self.shares: dict[str, Share] = {}


class Turns:
    """The order in which the keys of waiting tasks have their turns.

    In each round each key may begin as many tasks as its weight, and then goes to the end of the
    line. A key of which no task waits has no place; a new one goes to the end of the line. So none
    waits for more than one turn of each other key, however many tasks these have. A place in the
    line is a number that only grows, so it does not matter which workers can run whose tasks.

    Args:
        weights: the weights of the keys; 1 for all others.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        self.weights = weights
        # Bounded by the waiting tasks.
        self._levels: dict[float, _Level] = {}
        self._given = 0

    def join(self, key: str, level: float) -> Share:
        """The share of a key; it gets a place at the end of the line if it has none."""
        found = self._levels.get(level)
        if found is None:
            found = self._levels[level] = _Level()
        share = found.shares.get(key)
        if share is None:
            share = found.shares[key] = Share(key, level, self.weights.get(key, 1.0))
            self._go_to_end(share, found.round)
        return share

    def leave(self, share: Share) -> None:
        """Take the place of a key of which no task waits any more."""
        level = self._levels[share.level]
        del level.shares[share.key]
        if not level.shares:
            del self._levels[share.level]

    def serve(self, share: Share) -> bool:
        """Count a task that begins. Returns whether its key has gone to the end of the line."""
        level = self._levels[share.level]
        if len(level.shares) == 1:
            return False
        level.round = max(level.round, share.round)
        share.credit -= 1.0
        if share.credit >= 1.0 - _ROUNDING:
            return False
        self._go_to_end(share, max(share.round, level.round))
        return True

    def others(self, key: str) -> int:
        """With how many other keys of waiting tasks a key takes turns."""
        keys = {each for level in self._levels.values() for each in level.shares}
        return len(keys - {key})

    def _go_to_end(self, share: Share, after: int) -> None:
        rounds = max(math.ceil((1.0 - _ROUNDING - share.credit) / share.weight), 1)
        share.credit += rounds * share.weight
        share.round = after + rounds
        self._given += 1
        share.turn = self._given
