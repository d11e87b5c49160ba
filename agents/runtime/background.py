"""Runs an agent in the background: start, stop, and report of its failure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

from ...messages import InvalidInput
from .log import log


class BackgroundRun:
    """Runs one agent concurrently with the rest of the program.

    Args:
        name: the agent's name.
        end: makes the agent end; its run then returns.
    """

    def __init__(self, name: str, end: Callable[[], None]) -> None:
        self._name = name
        self._end = end
        self._running: asyncio.Future[None] | None = None

    async def start(
        self, run: Callable[[], Coroutine[None, None, None]], is_up: asyncio.Event
    ) -> None:
        """Start the agent; return when it has started.

        Args:
            run: runs the agent until its end.
            is_up: set once it has started.

        Raises:
            InvalidInput: it was started before.
            MusterError: the agent's failure before it had started.
        """
        if self._running is not None:
            raise InvalidInput(
                f"agent {self._name!r} was already started, and no agent can be started twice; "
                "create a new one"
            )
        self._running = running = asyncio.ensure_future(run())
        up = asyncio.ensure_future(is_up.wait())
        try:
            await asyncio.wait([running, up], return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._end()
            raise
        finally:
            up.cancel()
        if running.done():
            running.result()
        else:
            running.add_done_callback(self._tell_failure)

    async def wait(self) -> None:
        """Wait until the agent has ended, if it was started here.

        Raises:
            MusterError: the agent's failure.
        """
        if self._running is not None:
            await asyncio.wait([self._running])
            self._running.result()

    def _tell_failure(self, running: asyncio.Future[None]) -> None:
        # Possibly nobody waits for it.
        if not running.cancelled() and (fault := running.exception()) is not None:
            log.error("a service failed", agent=self._name, exc_info=fault)
