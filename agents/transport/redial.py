"""Dials again when an agent's first dial did not reach anyone.

Ceylon dials once. If the other side does not answer within 5 s, as on an overloaded machine or one
that was asleep, Ceylon gives up and reports nothing, so the agent would wait forever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from ..runtime.log import log
from .ceylon_instance import CeylonInstance, start_in_ceylon
from .quic_probe import answers_probe

LOOK_EVERY_S = 2.0
FIRST_LOOKS = 3
"""After how many checks an agent that has met nobody dials again. Checks are counted, not seconds:
time in which the process was stopped says nothing about the dial."""

MOST_LOOKS = 150
"""The maximum for later dials: each dial costs file descriptors."""


class Dialing(Protocol):
    """An agent that has dialed and does not know whether it was answered."""

    name: str
    admin_ip: str
    port: int

    def has_met_anyone(self) -> bool:
        """Whether any other agent has sent something or announced itself."""
        ...

    async def dial_again(self) -> None:
        """Dial once more."""
        ...


async def watch_dial(agent: Dialing) -> None:
    """Make an agent dial again, at growing intervals, until it has met another agent.

    Args:
        agent: an agent that has just dialed.
    """
    looks, needed = 0, FIRST_LOOKS
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        if agent.has_met_anyone():
            return
        looks += 1
        if looks >= needed and await answers_probe(agent.admin_ip, agent.port):
            looks, needed = 0, min(needed * 2, MOST_LOOKS)
            log.info("met no other agent; dialing again", agent=agent.name)
            await agent.dial_again()


class Redialing(Protocol):
    """An agent whose instance in Ceylon can be replaced by one that dials again."""

    def current_instance(self) -> CeylonInstance:
        """The current instance."""
        ...

    def renew(self) -> None:
        """Prepare a new instance, with a new peer id."""
        ...


class Redial:
    """The replacement of an instance in Ceylon that has met nobody.

    The replaced instance keeps running without effect, since it may hold others that started with
    it.

    Attributes:
        replaced: the first instance, which has to be stopped at the end; None if none was replaced.
    """

    def __init__(self) -> None:
        self.replaced: CeylonInstance | None = None
        self._running: asyncio.Future[None] | None = None

    @property
    def is_under_way(self) -> bool:
        """Whether an instance runs that has dialed again."""
        return self._running is not None

    async def replace(self, agent: Redialing, settle: Callable[[], None]) -> None:
        """Start a new instance in place of the current one.

        Args:
            agent: the agent.
            settle: places the new instance where the former one was.
        """
        replaced = self.replaced or agent.current_instance()
        await self.end()
        agent.renew()
        self.replaced = replaced
        settle()
        self._running = asyncio.ensure_future(
            start_in_ceylon(agent.current_instance().inside, b"", ())
        )

    async def end(self) -> None:
        """End the instance that has dialed again, if there is one."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
            self._running = None

    def forget(self) -> None:
        """Forget the replaced instance."""
        self.replaced = None
