"""Log lines about slots that handlers hold which were to stop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ...messages import TaskId
from ..kernel.board.held_slots import FIRST_WARNING_AFTER_S, WARNING_EVERY_S
from ..kernel.model.occurrence_text import describe_held_slot
from ..runtime.log import log


class OverdueAttempt(NamedTuple):
    """An attempt that was told to stop and has not.

    Args:
        task_id: the task.
        attempt: which attempt at it.
        since: when it was told, in seconds.
        reason: what it was told, such as "timed out: after 5 s".
    """

    task_id: TaskId
    attempt: int
    since: float
    reason: str


def warn_of_held_slot(worker: str, told: str) -> None:
    """Warn that a worker's slot is held.

    Args:
        worker: the worker's name.
        told: what holds it, since when and why.
    """
    log.warning(f"worker {worker!r}: {told}")


class HeldSlotWarnings:
    """Warns of a worker's own attempts that do not stop: soon, and then once a minute.

    Args:
        worker: the worker's name.
    """

    def __init__(self, worker: str) -> None:
        self._worker = worker
        # Bounded by the worker's slots.
        self._due_at: dict[tuple[TaskId, int], float] = {}

    def look(self, overdue: Iterable[OverdueAttempt], now: float) -> None:
        """Warn of those of which it is time to warn.

        Args:
            overdue: all attempts that were told to stop and have not.
            now: the time in seconds.
        """
        before, self._due_at = self._due_at, {}
        for each in overdue:
            key = (each.task_id, each.attempt)
            due_at = before.get(key, each.since + FIRST_WARNING_AFTER_S)
            if due_at <= now:
                held_s = now - each.since
                told = describe_held_slot(each.task_id, each.attempt, held_s, _what_happened(each))
                warn_of_held_slot(self._worker, told)
                due_at = now + WARNING_EVERY_S
            self._due_at[key] = due_at


def _what_happened(overdue: OverdueAttempt) -> str:
    if overdue.reason.startswith("timed out"):
        return "it timed out"
    if overdue.reason.startswith("done elsewhere"):
        return "another worker had done it"
    return "it was cancelled"
