"""Writes the kinds of work and the prices of workers' time as plain values for a store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ....messages import Payload, Task
from .prices import TimePrice
from .task_kinds import TaskKind


class KindWriter:
    """Writes kinds as plain values; each one's task is converted once."""

    def __init__(self) -> None:
        self._known: dict[TaskKind, Payload] = {}

    def write(self, kinds: Iterable[TaskKind]) -> list[Payload]:
        """The kinds as `StoredKind` reads them."""
        known = self._known
        self._known = {kind: known.get(kind) or _fields_of(kind.task) for kind in kinds}
        return [
            {
                "fields": fields,
                "may_retry": kind.may_retry,
                "recent": kind.recent,
                "kept": kind.export(),
            }
            for kind, fields in self._known.items()
        ]


def write_prices(prices: Mapping[str, TimePrice]) -> dict[str, Payload]:
    """The prices as plain values."""
    return {
        name: {"per_s": each.per_s, "step": each.step, "rising": each.rising, "slots": each.slots}
        for name, each in prices.items()
    }


_OF_ONE_TASK = {"id", "description", "data", "depends_on", "parent_id"}


def _fields_of(task: Task) -> Payload:
    dumped = task.model_dump(exclude=_OF_ONE_TASK, exclude_defaults=True)
    return {name: value for name, value in dumped.items() if name in Task.model_fields}
