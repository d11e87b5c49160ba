"""The queue of calls of a manager's hooks, which run one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import NamedTuple

HOOK_TIMEOUT_S = 30.0
"""How long a run that is otherwise over waits for a hook that does not return, in seconds."""

_WITH_TIMEOUT = frozenset({"handle_result", "_handle_timeout"})

in_hook: ContextVar[bool] = ContextVar("muster_in_hook", default=False)
"""Whether the current context is that of a manager's hook, or of a task that a hook started."""


class _Call(NamedTuple):
    doing: str
    call: Awaitable[None]


class HookCalls:
    """The queue of calls of one manager's hooks.

    Args:
        report_fault: called with each exception that a hook raises.
        is_over: whether the run only waits for hooks.
    """

    def __init__(
        self, report_fault: Callable[[str, BaseException], None], is_over: Callable[[], bool]
    ) -> None:
        self._report_fault = report_fault
        self._is_over = is_over
        # Bounded by the tasks: at most two calls for each.
        self._waiting: asyncio.Queue[_Call] = asyncio.Queue()
        self._doing = ""
        self._running: asyncio.Future[None] | None = None
        self._assigning_is_over = False

    def add(self, doing: str, call: Awaitable[None]) -> None:
        """Queue a call; it runs when all calls before it have returned.

        Args:
            doing: the hook's name.
            call: the call.
        """
        self._waiting.put_nowait(_Call(doing, call))

    async def run(self) -> None:
        """Run the calls until cancelled."""
        in_hook.set(True)
        while True:
            doing, call = await self._waiting.get()
            try:
                if doing == "assign_tasks" and self._assigning_is_over:
                    _discard(call)
                else:
                    await self._run_call(doing, call)
            finally:
                self._waiting.task_done()

    async def finish(self) -> None:
        """Wait until all queued calls have returned; calls of `assign_tasks` are cancelled."""
        self._assigning_is_over = True
        if self._running is not None and self._doing == "assign_tasks":
            self._running.cancel()
        joining = asyncio.ensure_future(self._waiting.join())
        await asyncio.wait([joining], timeout=HOOK_TIMEOUT_S)
        joining.cancel()

    def close(self) -> None:
        """Drop the calls that have not started."""
        while not self._waiting.empty():
            _discard(self._waiting.get_nowait().call)

    async def _run_call(self, doing: str, call: Awaitable[None]) -> None:
        self._doing = doing
        running = self._running = asyncio.ensure_future(call)
        try:
            while not running.done():
                await asyncio.wait([running], timeout=HOOK_TIMEOUT_S)
                if not running.done() and doing in _WITH_TIMEOUT and self._is_over():
                    # Otherwise the run would never end.
                    running.cancel()
                    late = TimeoutError(f"it did not return within {HOOK_TIMEOUT_S:g} s; cancelled")
                    self._report_fault(doing, late)
                    return
            if not running.cancelled():
                running.result()
            elif not self._assigning_is_over:
                self._report_fault(doing, asyncio.CancelledError("it was cancelled by the program"))
        except asyncio.CancelledError:
            running.cancel()
            raise
        except Exception as fault:  # noqa: BLE001 - a user's override may raise anything
            self._report_fault(doing, fault)
        finally:
            self._running = None


def _discard(call: Awaitable[None]) -> None:
    if asyncio.iscoroutine(call):
        call.close()
