"""Whether the host is still there in whose workspace a manager is a guest.

Ceylon does not tell when a connection is gone. A guest whose host has ended would wait for workers
that can't reach it any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .clock import now
from .knock import is_at_home

LOOK_EVERY_S = 2.0
LEAST_LOOKS = 3
"""How often in a row a host must be found gone: one packet may be lost."""


async def watch_host(
    host: str,
    port: int,
    *,
    patience_s: float,
    heard: Callable[[], int],
    gone: Callable[[str], None],
) -> None:
    """Look after the host for ever, or until it is gone.

    It is looked for only while nothing comes in, so that a busy workspace costs nothing.

    Args:
        host: the IPv4 address of the workspace's admin.
        port: its UDP port.
        patience_s: for how long nothing may come and nobody answer, in seconds.
        heard: how many frames have come in so far.
        gone: called with what was found, once the host is gone.
    """
    came, misses, missed_at = heard(), 0, now()
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        if heard() != came or await is_at_home(host, port):
            came, misses = heard(), 0
            continue
        if not misses:
            missed_at = now()
        misses += 1
        if misses >= LEAST_LOOKS and now() - missed_at >= patience_s:
            gone(
                f"its host at {host}, UDP port {port}, is gone: nobody has answered there for "
                f"{now() - missed_at:.0f} s"
            )
            return
