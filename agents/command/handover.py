"""`muster handover`: lets a standby manager lead a run."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence

from ...messages import InvalidInput, NatsUnusable, StoreUnusable
from ..store.managers import ManagerEntry, ManagerList, standbys_in
from ..store.places import StorePlace, managers_at, name_of_place

TIMEOUT_S = 30.0
"""How long a handover may take."""

_LOOK_EVERY_S = 0.1


def hand_over_by_store(store: StorePlace) -> str:
    """Ask the manager that leads, by way of its store, and wait for the next one.

    Args:
        store: the store's file, or its URL.

    Returns:
        What to print.

    Raises:
        InvalidInput: no manager leads, or none stands by.
        StoreUnusable: the request can't be written, or no other manager leads after a while.
    """
    managers = managers_at(store)
    try:
        return _hand_over(managers, name_of_place(store))
    finally:
        managers.withdraw()


def _hand_over(managers: ManagerList, store: str) -> str:
    found = managers.read()
    former = next((each for each in found if each.leads), None)
    if former is None:
        raise InvalidInput(f"no manager leads the run in {store!r}, so nothing is handed over")
    standbys = standbys_in(found)
    if not standbys:
        raise InvalidInput(
            f"no manager stands by for the run in {store!r}; start one with "
            f"`muster manager --standby --store {store}`, and try again"
        )
    try:
        next_one = _ask_until_another_leads(managers, former)
    except OSError as fault:
        raise StoreUnusable(
            f"the handover of {store!r} can't be requested: {fault.strerror}; run this as the "
            "user that runs the managers, or use --join"
        ) from None
    finally:
        # Without an answer it is forgotten soon.
        with contextlib.suppress(NatsUnusable):
            managers.forget_handover_request()
    return f"{former.describe()} handed the run over to {next_one.describe()}"


def _ask_until_another_leads(managers: ManagerList, former: ManagerEntry) -> ManagerEntry:
    """Ask again and again: the request, or an entry of a standby, may be lost meanwhile."""
    ends_at = time.monotonic() + TIMEOUT_S
    while True:
        found = managers.read()
        leader = next((each for each in found if each.leads), None)
        if leader is not None and leader.is_in_process_of(former):
            managers.request_handover(leader)
        elif leader is not None and leader.since > 0:
            # Without that it has not opened the store yet.
            return leader
        if time.monotonic() >= ends_at:
            raise StoreUnusable(_what_is_missing(former, leader, standbys_in(found)))
        time.sleep(_LOOK_EVERY_S)


def _what_is_missing(
    former: ManagerEntry, leader: ManagerEntry | None, standbys: list[ManagerEntry]
) -> str:
    asked = f"{TIMEOUT_S:g} s after {former.describe()} was asked to hand the run over"
    if leader is None:
        return f"{asked}, it leads no more, but no standby has opened the store; see their logs"
    if not standbys:
        return f"{asked}, it still leads, since no manager stands by any more; start one"
    return f"{asked}, it still leads; see its log, or end it"


def describe_standbys(standbys: Sequence[ManagerEntry]) -> str:
    """The managers that stand by, as text: the only one, or the first of them."""
    first = standbys[0].describe()
    return first if len(standbys) == 1 else f"one of {len(standbys)} managers, such as {first}"
