"""Gives each host one request at a time, with a pause between two."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

MAX_TRACKED_HOSTS = 1_000


@dataclass(slots=True)
class Turn:
    """A host's turn; whoever has it may lengthen the pause after it."""

    pause_s: float
    free_at_s: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    wanted_by: int = 0

    async def pause(self) -> None:
        """Wait until the pause after the last request is over."""
        await asyncio.sleep(max(0.0, self.free_at_s - asyncio.get_running_loop().time()))

    def requested(self) -> None:
        """Note that a request has just ended."""
        self.free_at_s = asyncio.get_running_loop().time() + self.pause_s


class HostRateLimiter:
    """The turns of all hosts.

    Args:
        pause_s: seconds between two requests to one host.
    """

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s
        self._turns: dict[str, Turn] = {}

    @asynccontextmanager
    async def take(self, host: str) -> AsyncGenerator[Turn]:
        """Wait for a host to be free, and keep it until the block ends."""
        turn = self._turns.pop(host, None) or Turn(self._pause_s)
        self._turns[host] = turn
        turn.wanted_by += 1
        try:
            self._forget_old()
            async with turn.lock:
                yield turn
        finally:
            turn.wanted_by -= 1

    def _forget_old(self) -> None:
        if len(self._turns) <= MAX_TRACKED_HOSTS:
            return
        now = asyncio.get_running_loop().time()
        for host, turn in list(self._turns.items()):
            if not turn.wanted_by and turn.free_at_s <= now:
                del self._turns[host]
