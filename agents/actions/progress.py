"""What an action tells of how far it has come: the same to a local task and to a manager afar."""

from __future__ import annotations

from typing import Protocol


class HasProgress(Protocol):
    """Anything whose progress can be set, in percent; a `LocalTask` is one."""

    @property
    def progress(self) -> float:
        """How far it has come, 0 to 100."""
        ...

    @progress.setter
    def progress(self, percent: float) -> None: ...


class WholePercents:
    """Passes progress on once a percent, since an action may come on in many small steps.

    Args:
        task: whose progress it is.
    """

    def __init__(self, task: HasProgress) -> None:
        self._task = task
        self._told = -1

    def tell(self, done: float, of: float | None) -> None:
        """Note how much is done.

        Args:
            done: how much is, in whatever unit.
            of: how much it will be in the end; None if nobody knows.
        """
        if not of:
            return
        percent = int(min(100 * done / of, 100))
        if percent != self._told:
            self._told = percent
            self._task.progress = float(percent)
