"""The instance inside Ceylon: its callbacks, its start, and how to find one in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from .ceylon_api import (
    AgentDetail,
    BaseAgent,
    PeerMode,
    UnifiedAgent,
    ceylon_processors,
    require_ceylon,
)
from .start_group import StartingAgent


class Listener(Protocol):
    """Receives what an instance inside Ceylon reports."""

    async def on_message(self, agent: AgentDetail, data: bytes, time: int) -> None:
        """Called with each message."""

    async def on_agent_connected(self, topic: str, agent: AgentDetail) -> None:
        """Called with each agent that appears."""

    async def run(self, inputs: bytes) -> None:
        """Called once the agent has started."""


class CeylonCallbacks:
    """The callbacks of an instance in Ceylon, which do nothing once it was replaced.

    An instance that started with others lives until they have ended, too.
    """

    def __init__(self, agent: Listener) -> None:
        self._agent: Listener | None = agent

    def close(self) -> None:
        """Ignore all further calls."""
        self._agent = None

    @property
    def agent(self) -> Listener | None:
        """The agent that is called; None if calls are ignored."""
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
        """Called once the agent has started."""
        if self._agent is not None:
            await self._agent.run(inputs)


class CeylonInstance:
    """An instance in Ceylon, which its agent may replace."""

    def __init__(self, inside: UnifiedAgent) -> None:
        self.inside = inside

    async def start(self, others: Sequence[StartingAgent]) -> None:
        """Start together with others, which then share one runtime of Ceylon."""
        companions = [other.inside for other in others if isinstance(other, CeylonInstance)]
        await start_in_ceylon(self.inside, b"", companions)

    async def stop(self) -> None:
        """Stop all agents that started with this one, and itself."""
        await self.inside.stop()


async def start_in_ceylon(
    agent: UnifiedAgent, inputs: bytes, companions: Sequence[UnifiedAgent]
) -> None:
    """Start an instance in Ceylon; it has ended when this returns, also if this is cancelled."""
    try:
        # Not `agent.start`: an agent may give that name another meaning.
        await UnifiedAgent.start(agent, inputs, companions)
    except asyncio.CancelledError:
        # Otherwise Ceylon would continue in the background.
        await UnifiedAgent.stop(agent)
        raise


def find_admin(peer_id: str) -> BaseAgent | None:
    """The admin with a peer id, if it is in this process; Ceylon keeps a list of all agents."""
    require_ceylon()
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
