"""How a worker leaves in order: it begins no more tasks, and finishes those that run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from pydantic import BaseModel

from ...messages import Heartbeat, ReturnTasks, TaskId
from ..runtime.clock import now

CHECK_EVERY_S = 0.02
"""How often a worker that is about to leave looks whether its tasks have ended."""


class LeavingWorker(Protocol):
    """What leaves."""

    @property
    def held_keys(self) -> Iterator[tuple[TaskId, int]]:
        """The attempts that run here, or whose results may not be recorded yet."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether it has left."""
        ...

    def heartbeat(self) -> Heartbeat:
        """The heartbeat to send now."""
        ...

    def send_results(self) -> None:
        """Send the results that wait, and drop those that the manager has."""
        ...

    def take_unbegun(self) -> Sequence[tuple[TaskId, int]]:
        """Drop the attempts that have not begun, and return them."""
        ...


class Departure:
    """Knows whether a worker is about to leave.

    Args:
        worker: the worker.
        post: sends a message to its manager.
    """

    def __init__(self, worker: LeavingWorker, post: Callable[[BaseModel], None]) -> None:
        self._worker = worker
        self._post = post
        self.has_begun = False
        """Whether the worker begins no more tasks."""

    async def finish(self, grace_s: float) -> None:
        """Give back what has not begun, and wait until the results of the rest are recorded.

        Args:
            grace_s: how long to wait at most, in seconds.
        """
        self.has_begun = True
        worker, ends_at = self._worker, now() + grace_s
        self.give_back(worker.take_unbegun())
        while not worker.is_over and now() < ends_at and any(True for _ in worker.held_keys):
            await asyncio.sleep(CHECK_EVERY_S)
            worker.send_results()

    def refuses(self, key: tuple[TaskId, int]) -> bool:
        """Give back an attempt that arrives now; False if it may begin, or is here already."""
        if not self.has_begun or key in set(self._worker.held_keys):
            return False
        self.give_back([key])
        return True

    def give_back(self, keys: Sequence[tuple[TaskId, int]]) -> None:
        """Give back attempts that have not begun."""
        # First, since a manager takes them back only from a worker of which it knows that.
        self._post(self._worker.heartbeat())
        if keys:
            self._post(ReturnTasks(attempts=tuple(keys)))
