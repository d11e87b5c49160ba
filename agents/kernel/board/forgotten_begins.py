"""When attempts at forgotten tasks began, as long as the rate of a limit counts them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ....messages import Payload
from ..matching.limiter import Begin, Limiter
from ..model.records import TaskRecord

_PARTS_OF_A_PERIOD = 20
"""Into how many parts the period of a rate is divided for what is kept of forgotten tasks."""


class ForgottenBegins:
    """When attempts at tasks began that have been forgotten, as long as a rate counts them.

    Attempts that began within a twentieth of the period count as begun with the last of them, so
    that a rate is never passed.
    """

    def __init__(self) -> None:
        # Bounded by the keys with a rate that had work within its period.
        self._begun: dict[tuple[str, str | None], list[tuple[float, float, int]]] = {}

    def note(self, records: Iterable[TaskRecord], limiter: Limiter, now: float) -> None:
        """Keep when the attempts at some tasks began, before these are forgotten."""
        for record in records:
            task = record.task
            per_s = limiter.period_s(task)
            for attempt in record.attempts if per_s else ():
                if attempt.started_at + per_s > now:
                    self._add((task.type, task.limit_key), attempt.started_at, per_s)
        if self._begun:
            self._drop_old(now - limiter.longest_period_s)

    def begins(self) -> Iterator[Begin]:
        """The attempts, as limits count them."""
        for (task_type, key), parts in self._begun.items():
            for _, at, count in parts:
                yield Begin(task_type, key, at, count)

    def export(self) -> Payload:
        """What `restore` reads, as plain values."""
        return [[task_type, key, parts] for (task_type, key), parts in self._begun.items()]

    def restore(self, kept: Payload) -> None:
        """Continue with what `export` returned."""
        self._begun = {
            (task_type, key): [(first, last, count) for first, last, count in parts]
            for task_type, key, parts in kept
        }

    def _add(self, name: tuple[str, str | None], at: float, per_s: float) -> None:
        parts = self._begun.setdefault(name, [])
        if parts and at < parts[-1][0] + per_s / _PARTS_OF_A_PERIOD:
            first, last, count = parts[-1]
            parts[-1] = (first, max(last, at), count + 1)
        else:
            parts.append((at, at, 1))

    def _drop_old(self, since: float) -> None:
        kept = {
            name: [part for part in parts if part[1] > since] for name, parts in self._begun.items()
        }
        self._begun = {name: parts for name, parts in kept.items() if parts}
