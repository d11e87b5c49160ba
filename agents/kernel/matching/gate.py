"""A gate: one limit as it counts for its tasks, with what is in progress and what has begun."""

from __future__ import annotations

import math
from collections import deque
from typing import Generic, TypeVar

from ....messages import TaskId
from ....messages.limit import Limit

_QueueT = TypeVar("_QueueT")
_LaneT = TypeVar("_LaneT")


class Gate(Generic[_QueueT, _LaneT]):
    """One limit, for all its tasks or for those of one key.

    Args:
        limit: the limit.
        key: the key for which it counts, if each key has the limit for itself; else None.
    """

    __slots__ = (
        "_interval_s",
        "_may_begin_at",
        "_slack_s",
        "begun",
        "is_shut",
        "key",
        "lanes",
        "limit",
        "opens_at",
        "parked",
        "queues",
        "running",
        "wanting",
    )

    def __init__(self, limit: Limit, key: str | None = None) -> None:
        self.limit = limit
        self.key = key
        self.running = 0
        """How many attempts hold it: in progress, or told to stop and not confirmed to have."""
        # Bounded by the rate.
        self.begun: deque[float] = deque()
        """When attempts began within the last period, in seconds."""
        self.is_shut = False
        self.opens_at = math.inf
        """When it opens again, in seconds; infinite if it waits for an attempt to end."""
        # Bounded by the waiting tasks.
        self.queues: dict[_QueueT, None] = {}
        """The groups of tasks that it limits as a whole."""
        self.lanes: dict[_LaneT, None] = {}
        """The tasks of one key that it limits, by group."""
        self.parked: dict[_LaneT, None] = {}
        """Those of the lanes that wait for it to open."""
        self.wanting: dict[tuple[TaskId, int], None] = {}
        """The attempts that have waited for something else, and go on once it counts them."""
        self._interval_s = self._slack_s = 0.0
        if limit.burst is not None and limit.rate is not None and limit.per_s is not None:
            self._interval_s = limit.per_s / limit.rate
            self._slack_s = (limit.burst - 1) * self._interval_s
        # When the next one may begin, if no burst were allowed.
        self._may_begin_at = -math.inf

    @property
    def is_idle(self) -> bool:
        """Whether it could be made anew without loss; call `look` first."""
        return not (self.running or self.begun or self.lanes or self.queues or self.is_shut)

    def begin(self, now: float) -> None:
        """Count an attempt that begins."""
        self.running += 1
        if self.limit.rate is not None:
            self.note_begun(now)

    def note_begun(self, at: float) -> None:
        """Count the beginning of an attempt, in the order of time."""
        self.begun.append(at)
        self._may_begin_at = max(self._may_begin_at, at) + self._interval_s

    def look(self, now: float) -> bool:
        """Whether one more task may begin now; sets `opens_at` if not."""
        limit = self.limit
        if limit.concurrent is not None and self.running >= limit.concurrent:
            self.opens_at = math.inf
            return False
        if limit.rate is None or limit.per_s is None:
            return True
        begun, per_s = self.begun, limit.per_s
        while begun and begun[0] + per_s <= now:
            begun.popleft()
        at = begun[len(begun) - limit.rate] + per_s if len(begun) >= limit.rate else now
        at = max(at, self._may_begin_at - self._slack_s)
        if at <= now:
            return True
        self.opens_at = at
        return False

    def room(self, now: float) -> int:
        """How many tasks could begin now."""
        limit = self.limit
        left: list[int] = []
        if limit.concurrent is not None:
            left.append(limit.concurrent - self.running)
        if limit.rate is not None and limit.per_s is not None:
            since = now - limit.per_s
            left.append(limit.rate - sum(at > since for at in self.begun))
        return max(min(left, default=0), 0)

    def describe(self, now: float) -> str:
        """What it waits for in words, such as "5 of 5 tasks of customer-7 in progress"."""
        limit = self.limit
        if self.opens_at == math.inf:
            return (
                f"{self.running:,} of {limit.concurrent:,} {limit.describe_scope(self.key)} "
                "in progress"
            )
        next_s = max(self.opens_at - now, 0.0)
        return f"{limit.describe_rate(self.key)}, next in {next_s:.1f} s"
