"""Whether the host of a guest manager's workspace is there.

Ceylon dials once, and does not report when a connection is gone. A guest that started before its
host would never join, and one whose host has ended would wait for workers that can't reach it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from ..runtime.clock import now
from ..runtime.log import log
from .quic_probe import answers_probe

WAIT_S = 10.0
"""How long a guest waits for its host before it dials, in seconds."""

WAIT_STEP_S = 0.1
LOOK_EVERY_S = 2.0
LEAST_LOOKS = 3
"""How many consecutive probes must fail before a host counts as gone: a packet may be lost."""

WORTH_A_WARNING_LOOKS = 5
"""After how many checks a guest that has not met its admin logs a warning. By then it has dialed
twice."""


class Guest(Protocol):
    """A manager in another admin's workspace."""

    name: str
    workspace_id: str
    admin_ip: str
    port: int

    def has_met_admin(self) -> bool:
        """Whether the workspace's admin has been seen."""
        ...

    def count_received(self) -> int:
        """How many frames have been received."""
        ...


async def wait_for_host(guest: Guest) -> None:
    """Wait until the host answers, or until a timeout."""
    ends_at = now() + WAIT_S
    while True:
        if await answers_probe(guest.admin_ip, guest.port) or now() >= ends_at:
            return
        await asyncio.sleep(WAIT_STEP_S)


async def watch_host(guest: Guest, timeout_s: float, gone: Callable[[str], None]) -> None:
    """Watch the host until it is gone.

    It is probed only while no frames arrive, so that a busy workspace needs no probes.

    Args:
        guest: the manager.
        timeout_s: for how long nothing may arrive and no probe be answered, in seconds.
        gone: called with the reason once the host is gone.
    """
    missed_at = now()
    looks, received, misses = 0, 0, 0
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        looks += 1
        if looks == WORTH_A_WARNING_LOOKS and not guest.has_met_admin():
            log.warning(
                f"the admin of workspace {guest.workspace_id!r} was not met; it is not running, "
                "it has another peer id, or it has opened another workspace: give the manager "
                "and its workers that admin's workspace_id",
                manager=guest.name,
            )
        if guest.count_received() != received or await answers_probe(guest.admin_ip, guest.port):
            received, misses = guest.count_received(), 0
            continue
        if not misses:
            missed_at = now()
        misses += 1
        silent_s = now() - missed_at
        if misses >= LEAST_LOOKS and silent_s >= timeout_s:
            gone(
                f"its host at {guest.admin_ip}, UDP port {guest.port}, is gone: it has not "
                f"answered for {silent_s:.0f} s"
            )
            return
