"""Two members of one workspace, over each kind of link."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest
from muster.agents.simulation.memory_network import MemoryNetwork
from muster.agents.simulation.virtual_time import run_in_virtual_time
from muster.agents.transport.link import Link


@dataclass
class Member:
    """A link and the frames it brought."""

    link: Link
    heard: list[bytes] = field(default_factory=list)


Meeting = Callable[[Member, Member], Coroutine[Any, Any, None]]
"""What two members do; the kind of link provides the loop, real or virtual, that it runs in."""


def _meet_in_memory(meeting: Meeting) -> None:
    async def meet() -> None:
        network = MemoryNetwork()
        frames: dict[str, list[bytes]] = {"ada": [], "bob": []}
        ada, bob = (
            Member(network.join(name, frames[name].append), frames[name]) for name in frames
        )
        await meeting(ada, bob)

    run_in_virtual_time(meet())


@pytest.fixture(params=[_meet_in_memory], ids=["memory"])
def meet(request: pytest.FixtureRequest) -> Callable[[Meeting], None]:
    """Lets two joined members meet, once for each kind of link."""
    return request.param
