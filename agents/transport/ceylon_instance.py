"""The agent inside Ceylon: what it calls, how it starts, and how one is found in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from .ceylon_api import AgentDetail, BaseAgent, PeerMode, UnifiedAgent, ceylon_processors
from .start_group import StartingAgent


class Listener(Protocol):
    """Receives what an agent inside Ceylon reports."""

    async def on_message(self, agent: AgentDetail, data: bytes, time: int) -> None:
        """Called with each message."""

    async def on_agent_connected(self, topic: str, agent: AgentDetail) -> None:
        """Called with each agent that appears."""

    async def run(self, inputs: bytes) -> None:
        """Called once the agent is up."""


class CeylonCallbacks:
    """What the agent in Ceylon calls; deaf once another has taken that agent's place.

    One that started with others lives on until they have ended, too.
    """

    def __init__(self, agent: Listener) -> None:
        self._agent: Listener | None = agent

    def close(self) -> None:
        """Hear nothing any more."""
        self._agent = None

    @property
    def agent(self) -> Listener | None:
        """Who hears by them, or None if they are deaf."""
        return self._agent

    async def on_message(self, agent: AgentDetail, data: bytes, time: int) -> None:
        """Called with each message."""
        if self._agent is not None:
            await self._agent.on_message(agent, data, time)

    async def on_agent_connected(self, topic: str, agent: AgentDetail) -> None:
        """Called with each agent that appears."""
        if self._agent is not None:
            await self._agent.on_agent_connected(topic, agent)

    async def run(self, inputs: bytes) -> None:
        """Called once the agent is up."""
        if self._agent is not None:
            await self._agent.run(inputs)


class CeylonInstance:
    """An agent in Ceylon, whatever becomes of the one around it."""

    def __init__(self, inside: UnifiedAgent) -> None:
        self.inside = inside

    async def start(self, others: Sequence[StartingAgent]) -> None:
        """Start together with others, which all live in one runtime of Ceylon's then."""
        companions = [other.inside for other in others if isinstance(other, CeylonInstance)]
        await start_in_ceylon(self.inside, b"", companions)

    async def stop(self) -> None:
        """End all agents that started with this one, and itself."""
        await self.inside.stop()


async def start_in_ceylon(
    agent: UnifiedAgent, inputs: bytes, companions: Sequence[UnifiedAgent]
) -> None:
    """Start an agent in Ceylon; it is over when this is over, also if this is cancelled."""
    try:
        # Not `agent.start`: an agent may give that name another meaning.
        await UnifiedAgent.start(agent, inputs, companions)
    except asyncio.CancelledError:
        # Ceylon may go on, with nobody to wait for it.
        await UnifiedAgent.stop(agent)
        raise


def find_admin(peer_id: str) -> BaseAgent | None:
    """The admin of a peer id, if it lives in this process; Ceylon keeps a list of all agents."""
    handles = ceylon_processors._handle_map  # noqa: SLF001 - there is no public list
    with handles._lock:  # noqa: SLF001
        found = list(handles._map.values())  # noqa: SLF001
    for each in found:
        agent = each.agent if isinstance(each, CeylonCallbacks) else each
        if (
            isinstance(agent, BaseAgent)
            and agent.mode == PeerMode.ADMIN
            and UnifiedAgent.details(agent).id == peer_id
        ):
            return agent
    return None
