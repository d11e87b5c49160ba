"""Gives back the slot of an attempt while its handler waits, and takes one again afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any, Protocol, TypeAlias

from ...messages import TaskId
from ..runtime.clock import now

AttemptKey: TypeAlias = tuple[TaskId, int]
"""An attempt, as task and number."""


_went_on: ContextVar[tuple[asyncio.Task[Any], ...]] = ContextVar("muster_went_on", default=())
"""The asyncio tasks that have waited and gone on: the current one, and those that it stems from."""


class SlotKeeper(Protocol):
    """What has the slots of a worker."""

    @property
    def suspended_count(self) -> int:
        """How many attempts are suspended."""
        ...

    def give_back_slot(self, key: AttemptKey, reason: str) -> None:
        """Suspend an attempt: others may run in its slot.

        Args:
            key: the attempt.
            reason: what it waits for, for people.
        """
        ...

    def take_slot(self, key: AttemptKey) -> asyncio.Future[None]:
        """Give a suspended attempt the next free slot; done when it has it.

        It is cancelled if the worker stops.
        """
        ...


class Suspension:
    """Follows what the handler of one attempt waits for, and holds a slot unless it only waits.

    A handler may wait for several things at once, each in an asyncio task of its own. The attempt
    is suspended when each of the asyncio tasks that has waited waits again, has ended, or has
    started another one that waits: it most likely waits for that one. It is not seen whether an
    asyncio task of the handler does something else meanwhile.

    Args:
        slots: has the slots.
        key: the attempt.
    """

    def __init__(self, slots: SlotKeeper, key: AttemptKey) -> None:
        self._slots = slots
        self._key = key
        self._reasons: dict[object, str] = {}
        # The asyncio tasks that have something to do after they waited. The loop keeps them alive.
        self._active: set[asyncio.Task[Any]] = set()
        self._watched: set[asyncio.Task[Any]] = set()
        self._slot: asyncio.Future[None] | None = None
        self._since: float | None = None
        self._is_check_due = False
        self._suspended_s = 0.0

    @property
    def is_suspended(self) -> bool:
        """Whether the attempt holds no slot."""
        return self._since is not None

    @property
    def suspended_s(self) -> float:
        """For how long the attempt has held no slot, in seconds."""
        return self._suspended_s + (0.0 if self._since is None else now() - self._since)

    @asynccontextmanager
    async def waiting(self, reason: str) -> AsyncGenerator[None]:
        """While this is open, the current asyncio task only waits.

        On leaving, it waits for a slot, even if it is cancelled meanwhile: what follows is work.

        Args:
            reason: what it waits for, for people.
        """
        waiting = object()
        self._reasons[waiting] = reason
        self._active.discard(_current())
        self._active.difference_update(_went_on.get())
        self._check_soon()
        try:
            yield
        finally:
            del self._reasons[waiting]
            await self._begin_to_work()

    async def _begin_to_work(self) -> None:
        current = _current()
        self._active.add(current)
        before = _went_on.get()
        if current not in before:
            _went_on.set((*before, current))
        if current not in self._watched:
            self._watched.add(current)
            current.add_done_callback(self._ended)
        cancellation: asyncio.CancelledError | None = None
        while self._since is not None:
            slot = self._slot
            if slot is None:
                slot = self._slot = self._slots.take_slot(self._key)
                slot.add_done_callback(self._has_slot)
            try:
                await asyncio.shield(slot)
                self._has_slot(slot)
            except asyncio.CancelledError as fault:
                cancellation = fault
                if slot.cancelled():
                    # The worker stops.
                    break
        if cancellation is not None:
            raise cancellation

    def _has_slot(self, slot: asyncio.Future[None]) -> None:
        if slot is not self._slot or slot.cancelled():
            return
        self._suspended_s = self.suspended_s
        self._since = self._slot = None
        # All that had to be done may have been cancelled meanwhile.
        self._check_soon()

    def _ended(self, ended: asyncio.Task[Any]) -> None:
        self._watched.discard(ended)
        self._active.discard(ended)
        self._check_soon()

    def _check_soon(self) -> None:
        # Others may begin or cease to wait in the same turn of the loop.
        if not self._is_check_due:
            self._is_check_due = True
            asyncio.get_running_loop().call_soon(self._check)

    def _check(self) -> None:
        self._is_check_due = False
        if self._reasons and not self._active and self._since is None:
            self._since = now()
            self._slots.give_back_slot(self._key, describe_waiting(tuple(self._reasons.values())))


def describe_waiting(reasons: Sequence[str]) -> str:
    """What an attempt waits for, as one text."""
    if all(reason == FOR_SUBTASK for reason in reasons):
        count = len(reasons)
        return "waits for a subtask" if count == 1 else f"waits for {count:,} subtasks"
    others = len(reasons) - 1
    first = next(reason for reason in reasons if reason != FOR_SUBTASK)
    return f"{first}, and {others:,} more" if others else first


FOR_SUBTASK = "waits for a subtask"
"""The reason of a wait for a single subtask."""


def _current() -> asyncio.Task[Any]:
    current = asyncio.current_task()
    assert current is not None
    return current
