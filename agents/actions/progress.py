"""The progress of an action, for local tasks and for tasks of a manager."""

from __future__ import annotations

from typing import Protocol


class HasProgress(Protocol):
    """Anything whose progress can be set, in percent; a `LocalTask` is one."""

    @property
    def progress(self) -> float:
        """The progress in percent, 0 to 100."""
        ...

    @progress.setter
    def progress(self, percent: float) -> None: ...


class WholePercents:
    """Sets the progress of a task once for each percent, also if the action has many small steps.

    Args:
        task: the task.
    """

    def __init__(self, task: HasProgress) -> None:
        self._task = task
        self._percent = -1

    def update(self, done: float, total: float | None) -> None:
        """Set the progress.

        Args:
            done: the finished amount, in any unit.
            total: the total amount; None if unknown.
        """
        if not total:
            return
        percent = int(min(100 * done / total, 100))
        if percent != self._percent:
            self._percent = percent
            self._task.progress = float(percent)
