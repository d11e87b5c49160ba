"""Whether an agent's dial came to anything; if not, it dials again.

Ceylon dials once. If the other side has not answered after 5 s, as on an overloaded machine or one
that was asleep, Ceylon gives up and tells nobody: the agent would wait for ever.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from ..runtime.log import log
from .quic_probe import is_at_home

LOOK_EVERY_S = 2.0
FIRST_LOOKS = 3
"""After how many looks an agent that has met nobody dials again. Looks are counted and not seconds,
since time in which the process was stopped says nothing about the dial."""

MOST_LOOKS = 150
"""The same for later dials, at most: each dial costs file descriptors."""


class Dialing(Protocol):
    """An agent that has dialed and can't know what became of it."""

    name: str
    admin_ip: str
    port: int

    def has_met_anyone(self) -> bool:
        """Whether any other agent was heard, or has made itself known."""
        ...

    async def dial_again(self) -> None:
        """Dial once more."""
        ...


async def watch_dial(agent: Dialing) -> None:
    """Have an agent dial again, less and less often, until it has met anyone.

    Args:
        agent: an agent that has just dialed.
    """
    looks, needed = 0, FIRST_LOOKS
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        if agent.has_met_anyone():
            return
        looks += 1
        if looks >= needed and await is_at_home(agent.admin_ip, agent.port):
            looks, needed = 0, min(needed * 2, MOST_LOOKS)
            log.info("nobody was met; dialing again", agent=agent.name)
            await agent.dial_again()
