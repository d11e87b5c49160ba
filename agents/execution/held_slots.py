"""Log warnings about slots whose handlers were cancelled and have not stopped."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ...messages import TaskId
from ..kernel.board.held_slots import FIRST_WARNING_AFTER_S, WARNING_EVERY_S
from ..kernel.model.occurrence_text import describe_held_slot
from ..runtime.log import log


class OverdueAttempt(NamedTuple):
    """An attempt that was cancelled and still runs.

    Args:
        task_id: the task.
        attempt: the number of the attempt.
        since: when it was cancelled, in seconds.
        reason: why it was cancelled, such as "timed out: after 5 s".
    """

    task_id: TaskId
    attempt: int
    since: float
    reason: str


def warn_of_held_slot(worker: str, description: str) -> None:
    """Warn that a worker's slot is held.

    Args:
        worker: the worker's name.
        description: what holds it, since when and why.
    """
    log.warning(f"worker {worker!r}: {description}")


class HeldSlotWarnings:
    """Warns of a worker's attempts that do not stop: after a few seconds, then once a minute.

    Args:
        worker: the worker's name.
    """

    def __init__(self, worker: str) -> None:
        self._worker = worker
        # Bounded by the worker's slots.
        self._due_at: dict[tuple[TaskId, int], float] = {}

    def check(self, overdue: Iterable[OverdueAttempt], now: float) -> None:
        """Warn of those attempts whose next warning is due.

        Args:
            overdue: all attempts that were cancelled and still run.
            now: the time in seconds.
        """
        before, self._due_at = self._due_at, {}
        for each in overdue:
            key = (each.task_id, each.attempt)
            due_at = before.get(key, each.since + FIRST_WARNING_AFTER_S)
            if due_at <= now:
                held_s = now - each.since
                description = describe_held_slot(
                    each.task_id, each.attempt, held_s, _what_happened(each)
                )
                warn_of_held_slot(self._worker, description)
                due_at = now + WARNING_EVERY_S
            self._due_at[key] = due_at


def _what_happened(overdue: OverdueAttempt) -> str:
    if overdue.reason.startswith("timed out"):
        return "it timed out"
    if overdue.reason.startswith("done elsewhere"):
        return "another worker had done it"
    return "it was cancelled"
