"""`muster schedules`: the schedules of a running manager, or those that a store knows."""

from __future__ import annotations

from ..client.client import Client
from ..runtime.clock import wall_now
from ..schedules.listing import ScheduleState, list_schedules
from ..store.places import StorePlace
from .stored_run import read_stored_run


async def ask_for_schedules(client: Client) -> list[ScheduleState]:
    """Ask a running manager for its schedules.

    Args:
        client: a client that is not connected yet.
    """
    async with client:
        return await client.schedules()


def read_stored_schedules(store: StorePlace) -> list[ScheduleState]:
    """Read the schedules that a store knows; which of them are active, only its manager knows.

    Raises:
        StoreUnusable: there is no store, or it can't be read.
    """
    found = read_stored_run(store)
    return list_schedules(found.board, wall_now())
