"""Limits requests to one at a time for each host, with a pause between two."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

MAX_TRACKED_HOSTS = 1_000


@dataclass(slots=True)
class HostSlot:
    """The right to send requests to a host; its holder may change the pause between them."""

    pause_s: float
    free_at_s: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0

    async def pause(self) -> None:
        """Wait until the pause after the last request is over."""
        await asyncio.sleep(max(0.0, self.free_at_s - asyncio.get_running_loop().time()))

    def request_ended(self) -> None:
        """Start the pause after a request."""
        self.free_at_s = asyncio.get_running_loop().time() + self.pause_s


class HostRateLimiter:
    """The slots of all hosts.

    Args:
        pause_s: seconds between two requests to one host.
    """

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s
        self._slots: dict[str, HostSlot] = {}

    @asynccontextmanager
    async def acquire(self, host: str) -> AsyncGenerator[HostSlot]:
        """Wait for the slot of a host, and hold it until the block ends."""
        slot = self._slots.pop(host, None) or HostSlot(self._pause_s)
        self._slots[host] = slot
        slot.users += 1
        try:
            self._remove_old()
            async with slot.lock:
                yield slot
        finally:
            slot.users -= 1

    def _remove_old(self) -> None:
        if len(self._slots) <= MAX_TRACKED_HOSTS:
            return
        now = asyncio.get_running_loop().time()
        for host, slot in list(self._slots.items()):
            if not slot.users and slot.free_at_s <= now:
                del self._slots[host]
