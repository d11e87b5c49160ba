"""Two members of one workspace, over each kind of link."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from muster.agents.nats.address import NatsAddress
from muster.agents.simulation.memory_network import MemoryNetwork
from muster.agents.simulation.virtual_time import run_in_virtual_time
from muster.agents.transport.ceylon_agent import CeylonAgent
from muster.agents.transport.ceylon_api import PeerMode
from muster.agents.transport.link import Link
from muster.agents.transport.nats_link import open_nats_link


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


def _meet_over_nats(url: str, meeting: Meeting) -> None:
    async def meet() -> None:
        async with contextlib.AsyncExitStack() as stack:
            run = secrets.token_hex(8)
            members: list[Member] = []
            for _ in range(2):
                heard: list[bytes] = []
                link = await open_nats_link(NatsAddress.parse(url), run, heard.append)
                stack.push_async_callback(link.close)
                members.append(Member(link, heard))
            await meeting(*members)

    asyncio.run(meet())


class _CeylonMember(CeylonAgent):
    """An agent that only takes frames, until it is told to stop."""

    def __init__(self, heard: list[bytes], mode: PeerMode, **where: Any) -> None:
        super().__init__(secrets.token_hex(4), mode, "member", workspace_id="links", **where)
        self._heard = heard
        self.done = asyncio.Event()
        self.met = asyncio.Event()

    async def serve(self) -> None:
        await self.done.wait()

    def receive(self, frame: bytes) -> None:
        if frame == _CALL:
            self.met.set()
        else:
            self._heard.append(frame)

    def send_model(self, to: str, message: object) -> None:
        raise NotImplementedError

    def report_fault(self, doing: str, fault: BaseException) -> None:
        raise fault


_CALL = b"N.are you there"


def _meet_over_ceylon(meeting: Meeting) -> None:
    async def meet() -> None:
        frames: tuple[list[bytes], list[bytes]] = ([], [])
        host = _CeylonMember(frames[0], PeerMode.ADMIN, port=0)
        host.claim_port()
        guest = _CeylonMember(
            frames[1], PeerMode.CLIENT, port=host.port, admin_peer=host.details().id
        )
        running = [asyncio.ensure_future(each.start_agent()) for each in (host, guest)]
        while not (host.met.is_set() and guest.met.is_set()):
            for each in (host, guest):
                if each.has_met_anyone():
                    await each.send(_CALL)
            await asyncio.sleep(0.05)
        await meeting(Member(host, frames[0]), Member(guest, frames[1]))
        for each in (guest, host):
            each.done.set()
        await asyncio.gather(*running)

    asyncio.run(meet())


@pytest.fixture(
    params=[
        pytest.param("memory"),
        pytest.param("nats", marks=pytest.mark.nats),
        pytest.param("ceylon", marks=[pytest.mark.ceylon, pytest.mark.slow]),
    ]
)
def meet(request: pytest.FixtureRequest) -> Callable[[Meeting], None]:
    """Lets two joined members meet, once for each kind of link."""
    if request.param == "nats":
        return partial(_meet_over_nats, request.getfixturevalue("nats_server").url)
    return _meet_in_memory if request.param == "memory" else _meet_over_ceylon
