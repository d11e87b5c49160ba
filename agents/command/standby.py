"""`muster manager --standby`: waits until it leads, leads, and waits again after a handover."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import platform
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from types import FrameType
from typing import NoReturn, TypeAlias

from ...messages import (
    InvalidInput,
    NatsUnusable,
    PortInUse,
    RunHandedOver,
    StoreTaken,
    StoreUnusable,
)
from ..manager.task_manager import TaskManager
from ..runtime.garbage import collect_garbage_less_often
from ..security.ticket import Ticket
from ..standby.standby import Standby
from ..store.places import StorePlace
from ..store.protocol import Store
from .console.exit import EXIT_OK, print_message
from .console.interrupts import Interrupts
from .web_page import WebPageOptions

Lead: TypeAlias = Callable[[TaskManager, Store, WebPageOptions | None], int]
"""Runs a manager with an open store until its run has ended; returns the exit code."""

PORT_TIMEOUT_S = 10.0
"""How long the port of a manager that has handed its run over may take to become free."""

_LOOK_AGAIN_EVERY_S = 0.1


def stand_by(
    store: StorePlace | None,
    web: WebPageOptions | None,
    make: Callable[[], TaskManager],
    lead: Lead,
) -> int:
    """Wait until a store is free, and lead its run; wait again whenever another manager leads.

    Args:
        store: the store's file, or its URL.
        web: the options of the live page, or None.
        make: makes a manager without a store. It is made before the store is free, so that wrong
            arguments are told now, and a takeover takes less time.
        lead: runs it.

    Returns:
        The exit code: that of the run, or 0 if it was asked to end while another manager leads.

    Raises:
        InvalidInput: there is no store.
    """
    if store is None:
        raise InvalidInput(
            "--standby is given without --store; name the store that the managers share"
        )
    collect_garbage_less_often()
    # It is otherwise loaded when a run is restored, which other managers may never do.
    importlib.import_module("..kernel.matching.adaptive_state", __package__)
    standby = Standby(store)
    try:
        while True:
            _end_at_sigterm()
            manager = make()
            found = asyncio.run(_wait_to_lead(standby, web))
            if found is None:
                manager.close()
                return EXIT_OK
            opened, web = found
            try:
                return lead(manager, opened, web)
            except RunHandedOver:
                print_message("the run was handed over")
                standby.give_way()
            except StoreTaken:
                print_message("another manager has taken the store, and leads the run")
            except StoreUnusable as fault:
                if not fault.may_pass:
                    raise
                print_message(f"this manager leads no more: {fault}")
            finally:
                opened.close()
    finally:
        standby.withdraw()


def _end_at_sigterm() -> None:
    """Let SIGTERM end the command in order while no event loop runs that handles it."""
    signal.signal(signal.SIGTERM, _end)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    sys.exit(EXIT_OK)


async def _wait_to_lead(
    standby: Standby, web: WebPageOptions | None
) -> tuple[Store, WebPageOptions | None] | None:
    """Wait until the store is open, with the port of the page; None after Ctrl-C or SIGTERM."""
    ended = asyncio.Event()

    async def end() -> None:
        ended.set()

    async with contextlib.AsyncExitStack() as stack:
        # When this manager leads, it takes a moment until its run handles signals.
        stack.callback(_end_at_sigterm)
        await stack.enter_async_context(Interrupts(end))
        if web is not None:
            from ..live.standby_page import StandbyPage  # noqa: PLC0415 - it needs an extra

            page = StandbyPage(standby.managers, web.host, web.port, web.names)
            await stack.enter_async_context(page)
            web = replace(web, port=page.port)
            standby.page = _reachable(page.url, web.host)
        # A manager that is named can be asked to end.
        standby.stand_by_again()
        opening = asyncio.ensure_future(standby.open_store())
        ending = asyncio.ensure_future(ended.wait())
        await asyncio.sleep(0)
        # Without an answer there is nothing to tell.
        with contextlib.suppress(NatsUnusable):
            leader = await asyncio.to_thread(standby.find_other_leader)
            if leader is not None and not opening.done():
                print_message(f"standing by; {leader.describe()} leads the run")
        await asyncio.wait((opening, ending), return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        if opening.done():
            return opening.result(), web
        opening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            (await opening).close()
        return None


def claim_ticket(manager: TaskManager, host: str, *, with_secret: bool | None) -> Ticket:
    """The ticket of a manager that takes over; its port may be in use for a moment.

    Raises:
        PortInUse: it is still in use after a while.
    """
    ends_at = time.monotonic() + PORT_TIMEOUT_S
    while True:
        try:
            return manager.ticket(host, with_secret=with_secret)
        except PortInUse:
            if time.monotonic() >= ends_at:
                raise
            time.sleep(_LOOK_AGAIN_EVERY_S)


def _reachable(url: str, host: str) -> str:
    """The URL of a page that listens on all addresses of this machine names the machine."""
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - it is compared
        return url.replace("[::]", platform.node()).replace("0.0.0.0", platform.node())  # noqa: S104
    return url
