"""Sums up what attempts cost, by the type of their task and by day, in bounded size."""

from __future__ import annotations

from collections.abc import Mapping

from ....messages import Payload

DAY_S = 86_400.0
"""The length of a day in seconds; days begin at midnight, UTC."""

MAX_TYPES = 100
"""How many types are told apart; what further ones cost is summed up."""

MAX_DAYS = 400
"""How many days are kept: the latest."""

OTHER_TYPES = "other types"


class CostSums:
    """What attempts cost, in the manager's unit."""

    def __init__(self) -> None:
        self.by_type: dict[str, float] = {}
        """By the type of the task; "" is a type, too."""
        self.by_day: dict[int, float] = {}
        """By the number of the day since 1970 on which the attempt was charged."""

    def add(self, task_type: str, at: float, cost: float) -> None:
        """Add what an attempt costs.

        Args:
            task_type: the type of its task.
            at: when it was charged, in seconds since 1970.
            cost: the cost; below 0 if it takes back a part of an earlier one.
        """
        self._add(task_type, int(at // DAY_S), cost)

    def merge(self, other: CostSums) -> None:
        """Add all that another has summed up."""
        for task_type, cost in other.by_type.items():
            self._add(task_type, None, cost)
        for day, cost in other.by_day.items():
            self._add(None, day, cost)

    def export(self) -> dict[str, Payload]:
        """The sums as plain values; {} if there are none."""
        if not self.by_day:
            return {}
        return {"types": dict(self.by_type), "days": list(self.by_day.items())}

    @classmethod
    def restore(cls, exported: Mapping[str, Payload]) -> CostSums:
        """The sums that `export` returned."""
        sums = cls()
        sums.by_type.update(exported.get("types", {}))
        sums.by_day.update((day, cost) for day, cost in exported.get("days", ()))
        return sums

    def _add(self, task_type: str | None, day: int | None, cost: float) -> None:
        if task_type is not None:
            types = self.by_type
            if task_type not in types and len(types) >= MAX_TYPES:
                task_type = OTHER_TYPES
            types[task_type] = max(types.get(task_type, 0.0) + cost, 0.0)
        if day is not None:
            days = self.by_day
            days[day] = max(days.get(day, 0.0) + cost, 0.0)
            if len(days) > MAX_DAYS:
                del days[min(days)]
