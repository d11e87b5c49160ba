"""Opens a manager's lanes when they are needed, assigns workers to them, and closes them.

`kernel/lanes.py` decides which worker joins which lane.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from ...messages import DecodeError, MusterError, PortInUse
from ..kernel.discovery import DiscoveryCodec, LaneAddress
from ..kernel.lanes import Lanes
from ..kernel.model.workspace_names import FIRST_LANE, NATS_LANE, lane_workspace
from ..runtime.clock import now
from ..runtime.log import log
from ..runtime.ports import ANY_PORT, LOOPBACK
from ..security.sealing import ManagerSealing
from ..security.shared_secrets import share
from .ceylon_agent import CeylonAgent
from .ceylon_api import AgentDetail, PeerMode
from .discovery import serve_discovery
from .endpoint import Endpoint
from .lane_router import LaneRouter
from .quic_probe import answers_probe
from .start_group import StartGroup

OPENING_TIMEOUT_S = 5.0
"""How long opening a lane may take, in seconds."""

_LOOK_EVERY_S = 0.01
_FIRST_PROBE_TIMEOUT_S = 0.05
_LONGEST_PROBE_TIMEOUT_S = 1.0
_GATHER_S = 0.02
"""How long a lane waits for others that are opened with it, in seconds."""

_CLOSING_TIMEOUT_S = 3.0
_LOOK_FOR_UNUSED_EVERY_S = 1.0


class LaneAgent(CeylonAgent):
    """The manager's agent in one lane: its admin, and its link there.

    Args:
        manager: the manager, which receives everything that arrives there.
        lane: the lane's number.
        port: the UDP port to listen on; 0 uses any free one.
    """

    def __init__(self, manager: CeylonAgent, lane: int, port: int) -> None:
        super().__init__(
            manager.name,
            PeerMode.ADMIN,
            manager.role,
            workspace_id=lane_workspace(manager.workspace_id, lane),
            port=port,
        )
        self._manager = manager
        self._closing = asyncio.Event()
        self.endpoint: Endpoint | None = None

    async def serve(self) -> None:
        """Wait until the lane is closed."""
        await self._closing.wait()

    def close(self) -> None:
        """Make `serve` return."""
        self._closing.set()

    def receive(self, frame: bytes) -> None:
        """Receive a frame of this lane."""
        if self.endpoint is not None:
            self.endpoint.receive(frame)

    def remember(self, agent: AgentDetail) -> None:
        """Tell the manager which agent has sent something."""
        self._manager.remember(agent)

    async def on_agent_connected(self, topic: str, agent: AgentDetail) -> None:
        """Call the manager's handlers, as if the agent had appeared on lane 0."""
        del topic
        await self._manager.on_agent_connected(self._manager.workspace_id, agent)

    def report_fault(self, doing: str, fault: BaseException) -> None:
        """Report an exception that was not handled."""
        self._manager.report_fault(doing, fault)

    def send_model(self, to: str, message: object) -> None:
        """Not supported: only the lane's endpoint sends here."""
        raise NotImplementedError("an agent of a lane sends no models; use the manager")


class LaneManager:
    """The lanes of one manager during one run.

    Args:
        manager: the agent that is the admin of lane 0.
        sealing: how the manager seals.
        plan: decides which worker joins which lane.
        ports: the UDP ports that lanes may listen on; if empty, they use any free ports.
        direct_connections: whether workers may open direct connections.
    """

    def __init__(
        self,
        manager: CeylonAgent,
        sealing: ManagerSealing,
        plan: Lanes,
        ports: Sequence[int] = (),
        *,
        direct_connections: bool = True,
    ) -> None:
        self._manager = manager
        self._sealing = sealing
        self._plan = plan
        self._ports = tuple(ports)
        self._direct_connections = direct_connections
        self._router: LaneRouter | None = None
        self._agents: dict[int, LaneAgent] = {}
        self._opening: dict[int, asyncio.Future[bool]] = {}
        self._running: set[asyncio.Future[None]] = set()
        # A group of its own: only lanes may end together with the manager.
        self.start_group = StartGroup()

    def prepare(self, expected: int) -> None:
        """Start the lanes that a number of workers needs, with the manager if it starts now."""
        for lane in self._plan.prepare(expected):
            self._start(lane)

    async def keep(self, router: LaneRouter, present: Callable[[], Mapping[str, int]]) -> None:
        """Answer discovery, open lanes as needed and close unused ones; runs until cancelled.

        Args:
            router: sends and receives on all lanes.
            present: returns the lane of each connected worker, by name.
        """
        manager = self._manager
        self._router = router
        for lane in self._agents:
            self._open(lane, router)

        async def find_lane(name: str) -> LaneAddress:
            while True:
                lane = self._plan.place(name, now(), present())
                if lane == FIRST_LANE:
                    return LaneAddress(manager.workspace_id, manager.address, manager.port)
                if await asyncio.shield(self._open(lane, router)):
                    agent = self._agents[lane]
                    return LaneAddress(agent.workspace_id, agent.address, agent.port)
                self._plan.give_up(lane, now())
                self._close(lane, router)

        def drop(fault: DecodeError) -> None:
            router.count(fault.flaw, fault.detail)

        holder = router if self._direct_connections else None
        talk = DiscoveryCodec(self._sealing.secret, manager.workspace_id, self._sealing.identity)
        try:
            async with serve_discovery(manager.port, talk, find_lane, drop, holder):
                await self._close_unused(router, present)
        except OSError as fault:
            log.warning(
                "discovery is off, so all workers join lane 0: "
                "the TCP port of the manager's number is not available",
                manager=manager.name,
                port=manager.port,
                reason=fault.strerror,
            )
            await self._close_unused(router, present)

    def note_seen(self, name: str, address: str) -> None:
        """Record that a worker has arrived, admitted or not."""
        if self._router is not None:
            lane = self._router.lane_of(address)
            if lane != NATS_LANE:
                self._plan.note_arrived(name, lane)

    def close(self) -> None:
        """Start to close all lanes."""
        for future in self._opening.values():
            future.cancel()
        for agent in self._agents.values():
            agent.close()

    async def closed(self) -> None:
        """Wait until all lanes are closed."""
        if self._running:
            await asyncio.wait(self._running, timeout=_CLOSING_TIMEOUT_S)

    async def connected(self) -> list[AgentDetail]:
        """The agents that have appeared on any lane but lane 0, as Ceylon lists them."""
        found: list[AgentDetail] = []
        for lane, agent in self._agents.items():
            if lane in self._opening and self._opening[lane].done():
                found += await agent.get_connected_agents()
        return found

    async def _close_unused(
        self, router: LaneRouter, present: Callable[[], Mapping[str, int]]
    ) -> None:
        while True:
            await asyncio.sleep(_LOOK_FOR_UNUSED_EVERY_S)
            for lane in self._plan.close_unused(now(), present(), self._groups()):
                log.debug("closing a lane", manager=self._manager.name, lane=lane)
                self._close(lane, router)

    def _groups(self) -> list[set[int]]:
        """The lanes that started together, and so end together in Ceylon."""
        groups: dict[int | None, set[int]] = {}
        members: dict[int, CeylonAgent] = {FIRST_LANE: self._manager, **self._agents}
        for lane, agent in members.items():
            groups.setdefault(self.start_group.company_of(agent), set()).add(lane)
        # Lanes that have not started belong to no group yet.
        groups.pop(None, None)
        return list(groups.values())

    def _close(self, lane: int, router: LaneRouter) -> None:
        opening = self._opening.pop(lane, None)
        if opening is not None:
            opening.cancel()
        router.remove(lane)
        agent = self._agents.pop(lane, None)
        if agent is not None:
            agent.endpoint = None
            agent.close()

    def _open(self, lane: int, router: LaneRouter) -> asyncio.Future[bool]:
        opening = self._opening.get(lane)
        if opening is None:
            opening = self._opening[lane] = asyncio.ensure_future(self._try_to_open(lane, router))
        return opening

    async def _try_to_open(self, lane: int, router: LaneRouter) -> bool:
        agent = self._agents.get(lane) or self._start(lane)
        if agent is None:
            return False
        ends_at = now() + OPENING_TIMEOUT_S
        timeout_s = _FIRST_PROBE_TIMEOUT_S
        while not await answers_probe(LOOPBACK, agent.port, timeout_s=timeout_s):
            # On a busy machine a lane that is open may take longer to answer.
            timeout_s = min(2 * timeout_s, _LONGEST_PROBE_TIMEOUT_S)
            if now() >= ends_at:
                log.warning("a lane did not open", manager=self._manager.name, lane=lane)
                return False
            await asyncio.sleep(_LOOK_EVERY_S)
        agent.endpoint = router.add(lane, agent, self._sealing.seal(agent.workspace_id))
        return True

    def _start(self, lane: int) -> LaneAgent | None:
        agent = self._make_agent(lane)
        if agent is None:
            log.warning(
                "can't open a lane: none of the lane ports is free; its workers join other lanes",
                manager=self._manager.name,
                lane=lane,
            )
            return None
        self._agents[lane] = agent
        share(agent.address, self._sealing.secret)
        agent.start_group = self.start_group
        self.start_group.announce(agent)
        running = asyncio.ensure_future(self._run(agent))
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        return agent

    async def _run(self, agent: LaneAgent) -> None:
        try:
            await asyncio.sleep(_GATHER_S)
            await agent.start_agent()
        except MusterError as fault:
            self._manager.report_fault("opening a lane", fault)
        finally:
            self.start_group.withdraw(agent)
            agent.discard()

    def _make_agent(self, lane: int) -> LaneAgent | None:
        taken = {self._manager.port, *(agent.port for agent in self._agents.values())}
        for port in self._ports or [ANY_PORT] * (len(taken) + 1):
            agent = LaneAgent(self._manager, lane, port)
            if port in taken:
                continue
            try:
                agent.claim_port()
            except PortInUse:
                continue
            if agent.port not in taken:
                return agent
        return None
