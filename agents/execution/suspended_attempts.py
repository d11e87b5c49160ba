"""The attempts of a worker that wait without a slot, and those of them that may go on."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from ...messages import AttemptResumed, AttemptSuspended, ChangeGrant
from .suspension import AttemptKey


@dataclass(slots=True)
class _Wait:
    reason: str = ""
    needs_grant: bool = False
    has_grant: bool = True
    slot: asyncio.Future[None] | None = None


class SuspendedAttempts:
    """Tells the manager which attempts are suspended, and in which order they go on.

    One that limits count asks the manager for a grant before it goes on.

    Args:
        report: takes what is to be told of them; None for nothing.
    """

    def __init__(self, report: Callable[[AttemptSuspended | AttemptResumed], None] | None) -> None:
        self._report = report
        # All are bounded by the attempts of the worker.
        self.known: dict[AttemptKey, _Wait] = {}
        """The attempts that are or were suspended."""
        self.waiting: dict[AttemptKey, _Wait] = {}
        """Those that are suspended."""
        self.ready: OrderedDict[AttemptKey, _Wait] = OrderedDict()
        """Those of them that go on as soon as there is a slot, in this order."""

    def suspend(self, key: AttemptKey, reason: str) -> None:
        """Suspend an attempt, and say what it waits for."""
        wait = self.known.setdefault(key, _Wait())
        wait.reason, wait.has_grant = reason, not wait.needs_grant
        self.waiting[key] = wait
        self._tell(key)

    def go_on(self, key: AttemptKey) -> asyncio.Future[None]:
        """Let a suspended attempt go on once it has a grant, if it needs one, and a slot."""
        wait, slot = self.waiting[key], asyncio.get_running_loop().create_future()
        wait.slot = slot
        if wait.has_grant:
            self.ready[key] = wait
        else:
            self._tell(key)
        return slot

    def change_grant(self, change: ChangeGrant) -> None:
        """Take the manager's word on whether an attempt may go on, as far as limits go."""
        key = (change.task_id, change.attempt)
        wait = self.known.get(key)
        if wait is None:
            return
        wait.needs_grant = True
        if key not in self.waiting:
            return
        wait.has_grant = change.is_given
        if not change.is_given:
            self.ready.pop(key, None)
            self._tell(key)
        elif wait.slot is not None:
            self.ready[key] = wait

    def resume_next(self) -> None:
        """Give the first attempt that is ready a slot."""
        key, wait = self.ready.popitem(last=False)
        del self.waiting[key]
        slot, wait.slot = wait.slot, None
        self._tell(key)
        if slot is not None:
            slot.set_result(None)

    def end(self, key: AttemptKey) -> None:
        """Forget an attempt that has ended."""
        wait = self.known.pop(key, None)
        self.waiting.pop(key, None)
        self.ready.pop(key, None)
        if wait is not None and wait.slot is not None:
            wait.slot.cancel()

    def drop(self) -> None:
        """Let no attempt go on any more."""
        self.ready.clear()
        for wait in self.waiting.values():
            if wait.slot is not None:
                wait.slot.cancel()

    def tell_all(self) -> None:
        """Tell a new manager, or the same one again, which attempts are and were suspended."""
        for key in self.known:
            self._tell(key)

    def _tell(self, key: AttemptKey) -> None:
        if self._report is None:
            return
        task_id, attempt = key
        wait = self.waiting.get(key)
        if wait is None:
            self._report(AttemptResumed(task_id=task_id, attempt=attempt))
            return
        grant = "kept" if not wait.needs_grant else "returned" if wait.slot is None else "wanted"
        reason = wait.reason[:1_000]
        self._report(AttemptSuspended(task_id=task_id, attempt=attempt, reason=reason, grant=grant))
