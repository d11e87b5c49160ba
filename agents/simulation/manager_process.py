"""A simulated manager from its start until it ends, is killed, taken over or hands over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from ...messages import RunHandedOver, StoreTaken
from ..manager.task_manager import TaskManager
from .crashing_store import ManagerKilled
from .faults import Crash, Disturbance, FaultKind
from .fenced_store import FencedStore
from .memory_network import MemoryLink


@dataclass(slots=True)
class ManagerProcess:
    """One manager of a simulated run.

    Args:
        manager: the manager.
        link: its link to the network.
        serving: ends with the manager.
        replaced: set when it was killed or taken over.
        kill: kills it.
        store: its store, if it has one.
        down_s: how long it takes after a kill until the next one starts.
        is_taken_over: whether another manager has taken its store, which it does not know.
    """

    manager: TaskManager
    link: MemoryLink
    serving: asyncio.Future[None]
    replaced: asyncio.Event
    kill: Callable[[], None]
    store: FencedStore | None
    down_s: float = 0.0
    is_taken_over: bool = False

    @property
    def can_be_replaced(self) -> bool:
        """Whether it runs, and its run would survive it."""
        return not (self.store is None or self.serving.done() or self.replaced.is_set())

    @property
    def is_replaced(self) -> bool:
        """Whether another manager is to continue its run."""
        return self.replaced.is_set() or isinstance(self.fault, RunHandedOver)

    @property
    def fault(self) -> BaseException | None:
        """What it has ended with, if it has."""
        serving = self.serving
        return serving.exception() if serving.done() and not serving.cancelled() else None

    def begin(self, disturbance: Disturbance) -> None:
        """Let it be killed or taken over, or let it hand over."""
        if disturbance.kind is FaultKind.HANDOVER:
            self.manager._shell.hand_over()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        elif disturbance.kind is FaultKind.TAKEOVER:
            self.is_taken_over = True
            self.replaced.set()
        elif disturbance.crash is Crash.AT_ONCE:
            self.down_s = disturbance.lasts_s
            self.kill()
        else:
            assert self.store is not None
            self.down_s = disturbance.lasts_s
            self.store.crash_at_next_write(disturbance.crash)

    def find_wrong_end(self) -> str | None:
        """How it ended after it was taken over, if that is wrong."""
        # It may have been about to hand over, or about to be killed.
        expected = (StoreTaken, RunHandedOver, ManagerKilled)
        if not self.serving.done() or isinstance(self.fault, expected):
            return None
        return f"it ended with {self.fault!r}"
