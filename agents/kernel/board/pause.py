"""Pauses a run: nothing is assigned, and what runs goes on; also before a run is stopped."""

from __future__ import annotations

from ..model.events import ClosingBegun, PauseEnded, PauseRequested
from ..model.occurrences import OccurrenceKind
from .context import BoardContext
from .prefetch import Prefetch


class Pause:
    """Knows whether tasks are assigned."""

    def __init__(self, context: BoardContext, prefetch: Prefetch) -> None:
        self._context = context
        self._queue = context.queue
        self._prefetch = prefetch
        self.since: float | None = None
        """When the run was paused, in seconds; None if it is not. It is stored."""
        self.is_closing = False
        """Whether the run is about to be stopped; this is not stored."""
        self.holds = False
        """Whether nothing is assigned, for one reason or the other."""

    def begin(self, _: PauseRequested) -> None:
        """Assign no more tasks, and recall those that have not begun."""
        if self.since is None:
            self.since = self._context.now
            self._context.note(OccurrenceKind.RUN_PAUSED)
            self._hold()

    def end(self, _: PauseEnded) -> None:
        """Assign tasks again."""
        if self.since is not None:
            self.since = None
            self._context.note(OccurrenceKind.RUN_UNPAUSED)
            self._go_on()

    def close(self, _: ClosingBegun) -> None:
        """Assign no more tasks, since the run is about to be stopped."""
        if not self.is_closing:
            self.is_closing = True
            self._hold()

    def describe(self) -> str:
        """Why nothing is assigned."""
        if self.since is None:
            return "the run is about to be stopped"
        return f"the run has been paused for {max(self._context.now - self.since, 0.0):.0f} s"

    def restore(self, since: float | None) -> None:
        """Restore the pause of a stored run."""
        self.since = since
        if since is not None:
            self._suspend()

    def _hold(self) -> None:
        self._suspend()
        for worker in self._queue.workers:
            self._prefetch.recall_from(worker)

    def _suspend(self) -> None:
        self.holds = True
        self._queue.unmatched_timeout.suspend()

    def _go_on(self) -> None:
        self.holds = self.is_closing
        if not self.holds:
            # Workers may have been replaced during the pause, and take a moment to join.
            self._queue.unmatched_timeout.resume(self._context.now)
