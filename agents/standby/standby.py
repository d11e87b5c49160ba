"""`Standby`: waits until a run's store is free, and opens it for the manager that then leads."""

from __future__ import annotations

import asyncio
import contextlib

from ...messages import NatsUnusable, StoreBusy, StoreUnusable
from ..runtime.clock import now, wall_now
from ..runtime.log import log
from ..store.managers import ManagerEntry, ManagerList
from ..store.places import StorePlace, managers_at, name_of_place, open_store
from ..store.protocol import Store

LOOK_EVERY_S = 0.1
"""How often a standby looks whether the store is free, in seconds: it tries a file lock."""

GIVE_WAY_S = 10.0
"""How long a manager that has handed the run over leaves the store to the others, in seconds."""


class Standby:
    """A context manager: names this manager among those of a store, and opens the store when free.

    Who has opened the store leads the run.

    ```python
    with Standby("run.db") as standby:
        store = await standby.open_store()
        await TaskManager(store=store, port=0).start_agent()
    ```

    Args:
        store: the store's file, or its URL.
        page: the URL of this manager's live page; "" for none.
    """

    def __init__(self, store: StorePlace, *, page: str = "") -> None:
        self._place = store
        self.page = page
        """The URL of this manager's live page; used when it is named again."""
        self._managers: ManagerList = managers_at(store)
        self._is_named = False
        self._gives_way_until = 0.0

    def __enter__(self) -> Standby:
        """Name this manager as one that stands by.

        Raises:
            OSError: the file beside the store can't be written.
        """
        self.stand_by_again()
        return self

    def __exit__(self, *exception: object) -> None:
        """Name it no more."""
        self.withdraw()

    def withdraw(self) -> None:
        """Name this manager no more."""
        self._managers.withdraw()

    async def open_store(self) -> Store:
        """Wait until no manager has the store, and open it: this manager leads from then on.

        Raises:
            StoreUnusable: the store is damaged, or can't be opened for another reason than that
                another manager has it.
        """
        while True:
            # Another standby may be faster, and a server may be gone for a while.
            with contextlib.suppress(StoreBusy, NatsUnusable):
                store = await self._open_if_free()
                if store is not None:
                    return store
            await asyncio.sleep(LOOK_EVERY_S)

    async def _open_if_free(self) -> Store | None:
        if not self._is_named:
            await asyncio.to_thread(self._announce, leads=False)
        if await asyncio.to_thread(self._managers.is_led):
            self._gives_way_until = 0.0
            return None
        if now() < self._gives_way_until:
            return None
        try:
            store = await asyncio.to_thread(open_store, self._place)
        except StoreUnusable as fault:
            if fault.may_pass:
                log.info("the store can't be opened yet", fault=str(fault))
                return None
            raise
        with contextlib.suppress(NatsUnusable):
            self._announce(leads=True)
        log.info("this manager leads now", store=name_of_place(self._place))
        return store

    def give_way(self) -> None:
        """Leave the store to another standby, after a handover.

        Otherwise this manager would often be the first to open it again. It does so only if no
        other has led after `GIVE_WAY_S`.
        """
        self._gives_way_until = now() + GIVE_WAY_S

    def stand_by_again(self) -> None:
        """Name this manager as one that stands by: after it has led, or with another page.

        If the server of the store does not answer, `open_store` does it later.

        Raises:
            OSError: the file beside the store can't be written.
            NatsUnusable: the server refuses.
        """
        self._is_named = False
        try:
            self._announce(leads=False)
        except NatsUnusable as fault:
            if not fault.may_pass:
                raise

    def managers(self) -> list[ManagerEntry]:
        """The managers that share the store: the one that leads, then those that stand by."""
        return self._managers.read()

    def find_leader(self) -> ManagerEntry | None:
        """The manager that leads, if one does."""
        return next((each for each in self.managers() if each.leads), None)

    def find_other_leader(self) -> ManagerEntry | None:
        """The manager of another process that leads; this one may have got the store just now."""
        own = ManagerEntry.of_this_process(leads=False, since=0.0)
        leader = self.find_leader()
        return None if leader is None or leader.is_in_process_of(own) else leader

    def _announce(self, *, leads: bool) -> None:
        entry = ManagerEntry.of_this_process(leads=leads, since=wall_now(), page=self.page)
        self._managers.announce(entry)
        self._is_named = True
