"""A manager that runs never asks the server of its store, in its event loop, who else shares it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from muster.agents.manager.handover import Handover
from muster.agents.store.managers import ManagerEntry

LEADER = ManagerEntry("alpha", 1, leads=True, since=1.0)
STANDBY = ManagerEntry("beta", 2, leads=False, since=2.0)


class ServerManagers:
    """A list of managers on a server; notes the threads that ask."""

    def __init__(self) -> None:
        self.asked_by: list[int] = []

    def read(self) -> list[ManagerEntry]:
        self.asked_by.append(threading.get_ident())
        return [LEADER, STANDBY]

    def find_handover_request(self) -> None:
        self.asked_by.append(threading.get_ident())

    def __getattr__(self, name: str) -> Any:
        """All that `ManagerList` has besides."""
        return lambda *_: None


class ServerStore:
    def __init__(self) -> None:
        self.managers = ServerManagers()

    def when_lost(self, callback: Callable[[], object]) -> None:
        pass


async def _look(store: ServerStore) -> tuple[list[ManagerEntry], list[ManagerEntry]]:
    driver = SimpleNamespace(store=store, name="manager")
    handed_over = asyncio.Event()
    handover = Handover(cast("Any", driver), handed_over.set, lambda _: None)
    watching = asyncio.ensure_future(handover.watch())
    while not store.managers.asked_by:
        await asyncio.sleep(0)
    while handover._seen is None:
        await asyncio.sleep(0)
    found, standbys = handover.managers(), handover.request()
    await handed_over.wait()
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    return found, standbys


def test_a_manager_that_runs_knows_the_others_without_asking_in_its_event_loop() -> None:
    store = ServerStore()
    assert asyncio.run(_look(store)) == ([LEADER, STANDBY], [STANDBY])
    assert threading.get_ident() not in store.managers.asked_by
