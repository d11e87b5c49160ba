"""Hands a run over to a standby manager: on request, or since another one has taken the store."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from ...messages import InvalidInput, NatsUnusable, StoreTaken
from ..store.managers import ManagerEntry, is_asked_to_hand_over, managers_of, standbys_in
from .board_driver import BoardDriver

LOOK_FOR_REQUEST_EVERY_S = 0.5
"""How often a manager looks whether it is asked, by its store, to hand the run over."""


@runtime_checkable
class LeasedStore(Protocol):
    """A store that its manager may lose while it runs."""

    def when_lost(self, callback: Callable[[], object]) -> None:
        """Call a function, in any thread, when another manager may have opened the store."""
        ...


class Handover:
    """Knows who shares the store of one manager, and is asked to hand the run over.

    Args:
        driver: drives the board.
        hand_over: ends the run here without telling the workers to stop.
        lose: does the same after the store was lost.
    """

    def __init__(
        self,
        driver: BoardDriver,
        hand_over: Callable[[], None],
        lose: Callable[[StoreTaken], None],
    ) -> None:
        self._driver = driver
        self._hand_over = hand_over
        self._lose = lose
        self._seen: list[ManagerEntry] | None = None

    def managers(self) -> list[ManagerEntry]:
        """The managers that share the store; this one comes first.

        While the run goes on, those of a store on a server are as of half a second ago: to ask the
        server would hold up the event loop.
        """
        managers = managers_of(self._driver.store)
        if managers is None:
            return []
        return managers.read() if self._seen is None else self._seen

    def request(self) -> list[ManagerEntry]:
        """Hand the run over soon, and return the managers that stand by.

        Raises:
            InvalidInput: none stands by, so nobody would continue the run.
        """
        standbys = standbys_in(self.managers())
        if not standbys:
            store = "the same store" if self._driver.store else "a store (this run has none)"
            raise InvalidInput(
                "the run can't be handed over: no manager stands by; start one with "
                f"`muster manager --standby` and {store}, and try again"
            )
        # After the reply.
        asyncio.get_running_loop().call_soon(self._hand_over)
        return standbys

    async def watch(self) -> None:
        """Take requests that come by way of the store, and the loss of the store."""
        store = self._driver.store
        loop = asyncio.get_running_loop()
        if isinstance(store, LeasedStore):
            lost = StoreTaken(
                f"manager {self._driver.name!r} has lost its store, which another manager may "
                "lead now; start this one again when that one has ended, or with --standby"
            )
            store.when_lost(lambda: loop.call_soon_threadsafe(self._lose, lost))
        managers = managers_of(store)
        if managers is None:
            return
        try:
            while True:
                # The servers of the store may be gone for a while.
                with contextlib.suppress(NatsUnusable):
                    if isinstance(store, LeasedStore):
                        self._seen = await asyncio.to_thread(managers.read)
                    if await asyncio.to_thread(is_asked_to_hand_over, managers):
                        self._hand_over()
                await asyncio.sleep(LOOK_FOR_REQUEST_EVERY_S)
        finally:
            self._seen = None
