"""Lets attempts that waited go on only when each of their limits counts them again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from ....messages import TaskId
from ..model.records import Attempt
from .keyed_queue import LimitGate


class _Wanting(NamedTuple):
    attempt: Attempt
    gates: tuple[LimitGate, ...]
    taken: list[LimitGate]


class GrantQueue:
    """The attempts that have what they waited for, and go on as soon as their limits allow it.

    Each takes its limits one after the other, in the same order: first that of its key, last that
    of all tasks. So no two of them wait for each other, and none waits forever. At each limit they
    come before tasks that have not begun.

    Args:
        held: the limits that attempts hold; what is granted is added.
        shut_full: is told that attempts were counted at limits.
    """

    def __init__(
        self,
        held: dict[tuple[TaskId, int], tuple[LimitGate, ...]],
        shut_full: Callable[[Iterable[LimitGate], float], None],
    ) -> None:
        self._held = held
        self._shut_full = shut_full
        # Bounded by the suspended attempts.
        self._wanting: dict[tuple[TaskId, int], _Wanting] = {}
        self.granted: list[Attempt] = []
        """Those that may go on; whoever tells their workers clears it."""

    def __contains__(self, key: tuple[TaskId, int]) -> bool:
        return key in self._wanting

    def want(self, attempt: Attempt, gates: tuple[LimitGate, ...], now: float) -> None:
        """Add an attempt, with its limits, unless it is here already."""
        key = (attempt.task.task_id, attempt.number)
        if key not in self._wanting:
            self._wanting[key] = _Wanting(attempt, gates[::-1], [])
            self._advance(key, now)

    def serve(self, gate: LimitGate, now: float) -> None:
        """Count at a limit those that have waited longest, as many as it has room for."""
        limit = gate.limit
        while gate.wanting and (limit.concurrent is None or gate.running < limit.concurrent):
            key = next(iter(gate.wanting))
            del gate.wanting[key]
            self._advance(key, now)

    def drop(self, key: tuple[TaskId, int]) -> tuple[LimitGate, ...]:
        """Remove an attempt that has ended. Returns the limits that counted it."""
        wanting = self._wanting.pop(key, None)
        if wanting is None:
            return ()
        for gate in wanting.gates:
            gate.wanting.pop(key, None)
        return tuple(wanting.taken)

    def taken(self) -> Iterable[tuple[LimitGate, ...]]:
        """The limits that count attempts which wait for further ones."""
        return (tuple(each.taken) for each in self._wanting.values())

    def _advance(self, key: tuple[TaskId, int], now: float) -> None:
        attempt, gates, taken = self._wanting[key]
        while len(taken) < len(gates):
            gate = gates[len(taken)]
            concurrent = gate.limit.concurrent
            if concurrent is not None and gate.running >= concurrent:
                gate.wanting[key] = None
                if attempt.suspended_at is not None:
                    attempt.suspended_for = f"waits for its limit: {gate.describe(now)}"
                return
            gate.running += 1
            taken.append(gate)
            self._shut_full((gate,), now)
        del self._wanting[key]
        if gates:
            self._held[key] = gates
        attempt.grant = "kept"
        self.granted.append(attempt)
