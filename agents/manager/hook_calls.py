"""Calls a manager's hooks one after the other, and lets those that tell of results end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import NamedTuple

HOOK_PATIENCE_S = 30.0
"""How long a run that is over waits for one hook that does not return, in seconds."""

_BOUNDED = frozenset({"handle_result", "_handle_timeout"})

in_hook: ContextVar[bool] = ContextVar("muster_in_hook", default=False)
"""Whether this is called by a hook of a manager, or by what the hook has started."""


class _Call(NamedTuple):
    doing: str
    call: Awaitable[None]


class HookCalls:
    """The queue of calls of one manager's hooks.

    Args:
        report_fault: told of each exception that a hook raises.
        is_over: whether nothing is left to do but what the hooks still do.
    """

    def __init__(
        self, report_fault: Callable[[str, BaseException], None], is_over: Callable[[], bool]
    ) -> None:
        self._report_fault = report_fault
        self._is_over = is_over
        # Bounded by the tasks themselves: two calls a task at most.
        self._waiting: asyncio.Queue[_Call] = asyncio.Queue()
        self._doing = ""
        self._running: asyncio.Future[None] | None = None
        self._takes_no_more_assigning = False

    def add(self, doing: str, call: Awaitable[None]) -> None:
        """Have a hook called when all before it have returned.

        Args:
            doing: the hook's name.
            call: the call.
        """
        self._waiting.put_nowait(_Call(doing, call))

    async def run(self) -> None:
        """Make the calls until cancelled."""
        in_hook.set(True)
        while True:
            doing, call = await self._waiting.get()
            try:
                if doing == "assign_tasks" and self._takes_no_more_assigning:
                    _drop(call)
                else:
                    await self._make(doing, call)
            finally:
                self._waiting.task_done()

    async def see_through(self) -> None:
        """Wait until all that were added have returned; of no use to assign is what still does."""
        self._takes_no_more_assigning = True
        if self._running is not None and self._doing == "assign_tasks":
            self._running.cancel()
        joining = asyncio.ensure_future(self._waiting.join())
        await asyncio.wait([joining], timeout=HOOK_PATIENCE_S)
        joining.cancel()

    def close(self) -> None:
        """Make no more calls."""
        while not self._waiting.empty():
            _drop(self._waiting.get_nowait().call)

    async def _make(self, doing: str, call: Awaitable[None]) -> None:
        self._doing = doing
        running = self._running = asyncio.ensure_future(call)
        try:
            while not running.done():
                await asyncio.wait([running], timeout=HOOK_PATIENCE_S)
                if not running.done() and doing in _BOUNDED and self._is_over():
                    # It would keep the run from ending for ever.
                    running.cancel()
                    late = TimeoutError(f"it has not returned for {HOOK_PATIENCE_S:g} s; given up")
                    self._report_fault(doing, late)
                    return
            if not running.cancelled():
                running.result()
            elif not self._takes_no_more_assigning:
                self._report_fault(doing, asyncio.CancelledError("it was cancelled from within"))
        except asyncio.CancelledError:
            running.cancel()
            raise
        except Exception as fault:  # noqa: BLE001 - a user's override may raise anything
            self._report_fault(doing, fault)
        finally:
            self._running = None


def _drop(call: Awaitable[None]) -> None:
    if asyncio.iscoroutine(call):
        call.close()
