"""Workers that start and end together with a manager, where no Ceylon workspace holds them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from ...messages import InvalidInput
from ..security.ticket import Ticket

_ENDING_S = 5.0
"""How long a worker may take to end after its manager, in seconds."""


@runtime_checkable
class Companion(Protocol):
    """A worker that can join with a ticket."""

    def join(self, ticket: Ticket) -> None:
        """Set the ticket."""
        ...

    async def start_agent(self) -> None:
        """Join, and work until the manager shuts down."""
        ...


def start_companion(agent: object, ticket: Ticket) -> asyncio.Future[None]:
    """Start a worker of the same process with the manager's ticket.

    Raises:
        InvalidInput: it is a plain Ceylon agent, which can't join without Ceylon.
    """
    if not isinstance(agent, Companion):
        raise InvalidInput(
            f"{agent!r} starts together with a manager over NATS; only workers can join there, "
            "plain Ceylon agents need a Ceylon workspace"
        )
    agent.join(ticket)
    return asyncio.ensure_future(agent.start_agent())


async def end_companions(started: Sequence[asyncio.Future[None]]) -> None:
    """Wait until workers have ended, which their manager has told to; cancel those that go on.

    Raises:
        MusterError: what a worker failed with.
    """
    if not started:
        return
    done, pending = await asyncio.wait(started, timeout=_ENDING_S)
    for each in pending:
        each.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    for each in done:
        each.result()
