"""Passes on the progress of an attempt, at most so often."""

from __future__ import annotations

import asyncio
from typing import Protocol

from ...messages import TaskProgress
from .suspension import AttemptKey

PROGRESS_EVERY_S = 0.1
"""How often the progress of one attempt is passed on at most, in seconds."""


class ProgressTaker(Protocol):
    """What takes the progress of attempts."""

    def is_running(self, key: AttemptKey) -> bool:
        """Whether an attempt is running."""
        ...

    def report_progress(self, progress: TaskProgress, /) -> None:
        """Take the progress of an attempt."""
        ...


class AttemptProgress:
    """Passes on an attempt's newest progress, at most once every `PROGRESS_EVERY_S`."""

    __slots__ = ("_key", "_newest", "_runner", "_timer", "_worker")

    def __init__(self, runner: ProgressTaker, worker: str, key: AttemptKey) -> None:
        self._runner = runner
        self._worker = worker
        self._key = key
        self._newest: tuple[float, str] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def take(self, percent: float, note: str) -> None:
        """Pass on a progress now, or as soon as it may be."""
        self._newest = (percent, note)
        if self._timer is None:
            self._pass_on()

    def _pass_on(self) -> None:
        self._timer = None
        if self._newest is None or not self._runner.is_running(self._key):
            return
        (percent, note), self._newest = self._newest, None
        task_id, attempt = self._key
        self._runner.report_progress(
            TaskProgress(
                task_id=task_id,
                worker=self._worker,
                attempt=attempt,
                percent=percent,
                note=note[:1_000],
            )
        )
        self._timer = asyncio.get_running_loop().call_later(PROGRESS_EVERY_S, self._pass_on)
