"""A Ceylon agent that is safe to use, and a `Link`.

Ceylon 0.23 unpickles what it receives, writes a file into the current directory, reads a file there
that overrides its arguments, and finds handlers by class name alone. `CeylonAgent` is a
`ceylon.BaseAgent` that does none of this.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pydantic import BaseModel

from ...messages import InvalidInput, MusterError, PortInUse
from ...messages.frame import EVERYONE
from ..runtime.clock import now
from ..runtime.ports import LOOPBACK, check_address, claim_port, scratch_folder, standing_in
from .admin_address import AdminAddress, agree_with_admin, read_admin_address
from .ceylon_api import (
    AgentDetail,
    PeerMode,
    UnifiedAgent,
    UnifiedAgentConfig,
    require_ceylon,
    uniffi_set_event_loop,
)
from .ceylon_instance import CeylonCallbacks, CeylonInstance, find_admin, start_in_ceylon
from .network_file import NetworkFile
from .pickle_compat import message_inside
from .plain_agents import place_plain_agent, start_with_plain_agents
from .redial import Redial, watch_dial
from .start_group import StartGroup
from .user_handlers import MAX_KNOWN_PEERS, Handler, UserHandlers

_LAST_FRAMES_S = 0.1
_REGISTERING_S = 0.3
"""How long a client may take to learn that the admin knows it, in seconds. Until then it repeats
its name every 0.1 s. If it is stopped before, Ceylon panics, which has no effect but a line on
stderr."""
_SERVING_ENDS_S = 0.05
"""How long an agent may take to notice that Ceylon has ended, in seconds."""
_serial = itertools.count(1)


class CeylonAgent(UserHandlers):
    """A Ceylon agent that opens no pickles and leaves no files behind.

    The instance inside Ceylon is created when it is first needed, so that an agent which only
    rehearses over a memory link does not need one.

    Args:
        name: the agent's name.
        mode: admin or client.
        role: the role that Ceylon announces.
        workspace_id: the workspace, which is the topic of all frames.
        port: the UDP port that an admin listens on (0: any free one), or that a client dials.
        admin_peer: the admin's peer id, for a client.
        host: the IPv4 address that a client dials.
    """

    def __init__(
        self,
        name: str,
        mode: PeerMode,
        role: str,
        *,
        workspace_id: str,
        port: int,
        admin_peer: str = "",
        host: str = LOOPBACK,
    ) -> None:
        # BaseAgent.__init__ would create the Rust agent at once; the rest of it is repeated here.
        self._handlers: dict[type, Handler] = {}
        self._run_handlers: dict[str, Handler] = {}
        self._connection_handlers: dict[str, Handler] = {}
        self.name = name
        self.mode = mode
        self.role = role
        self.workspace_id = workspace_id
        self.port = port
        self.admin_peer = admin_peer
        self.admin_ip = host
        self.buffer_size = 1024
        self.connected_agents: dict[str, AgentDetail] = {}
        self._config_file: Path | None = None
        self._greeted: OrderedDict[str, AgentDetail] = OrderedDict()
        self._handler_calls: set[asyncio.Future[object]] = set()
        self._agent_failure: MusterError | None = None
        self._started_by_itself = False
        self._port_claimed = False
        self._is_placed = False
        self._serving: asyncio.Future[object] | None = None
        self._redial = Redial()
        self._callbacks = CeylonCallbacks(self)
        self.start_group: StartGroup | None = None
        """Where it meets others that start together with it; None if it starts by itself."""

    # ---------------------------------------------------------- what the shells fill in

    @abstractmethod
    async def serve(self) -> None:
        """Do the agent's work; return when the agent should stop."""

    def is_done(self) -> bool:
        """Whether the agent, after `serve` has returned, will not be renewed to serve again."""
        return True

    @abstractmethod
    def receive(self, frame: bytes) -> None:
        """Receive a frame from the workspace; must not raise."""

    def member_appeared(self, address: str) -> None:
        """Called whenever a member announces itself: from now on it receives frames."""

    def can_dial_again(self) -> bool:
        """Whether the agent itself detects a useless connection, and replaces it."""
        return False

    def address_changed(self) -> None:
        """Called when the agent, which has met nobody yet, gets a new address."""

    def joining_failed(self, fault: MusterError) -> None:
        """Called if another agent has started this one, and its work failed."""
        self.report_fault("joining", fault)

    @abstractmethod
    def send_model(self, to: str, message: BaseModel) -> None:
        """Send a model in Muster's encoding, to an address or to `EVERYONE`; it may get lost."""

    # ---------------------------------------------------------- talking

    async def broadcast(self, message: bytes) -> None:
        """Send bytes to everyone in the workspace, as Ceylon does.

        A pickle of one of Muster's messages, which the tutorial's agents broadcast, is sent in
        Muster's encoding, as is the message itself; see `broadcast_message`.

        Raises:
            InvalidInput: it is neither bytes nor a message.
        """
        inside = message_inside(message)
        if inside is None:
            self.need_ceylon_for(message)
            await super().broadcast(message)
        else:
            await self.broadcast_message(inside)

    async def send_direct(self, to_peer: str, message: bytes) -> None:
        """Send bytes to one member, as Ceylon does; for a pickled message see `broadcast`."""
        inside = message_inside(message)
        if inside is None:
            self.need_ceylon_for(message)
            await super().send_direct(to_peer, message)
        else:
            await self.send_message(to_peer, inside)

    async def broadcast_message(self, message: object) -> None:
        """Send a message to everyone: a pydantic model in Muster's encoding, bytes as they are.

        Anything else is pickled, as Ceylon does, for plain Ceylon agents. Muster's agents drop it.
        """
        if isinstance(message, BaseModel):
            self.send_model(EVERYONE, message)
        else:
            self.need_ceylon_for(message)
            await super().broadcast_message(message)

    async def send_message(self, peer_id: str, message: object) -> None:
        """Send a message to one member; see `broadcast_message`."""
        if isinstance(message, BaseModel):
            self.send_model(peer_id, message)
        else:
            self.need_ceylon_for(message)
            await super().send_message(peer_id, message)

    # ---------------------------------------------------------- Link

    one_receiver = False

    @property
    def address(self) -> str:
        """The peer id, new for every agent object."""
        return self.details().id

    async def send(self, frame: bytes, to: str | None = None) -> None:
        """Send a frame to one member, or to everyone in the workspace."""
        if to is None:
            await UnifiedAgent.broadcast(self, frame)
        else:
            await UnifiedAgent.send_direct(self, to, frame)

    # ---------------------------------------------------------- life cycle

    def _uniffi_clone_pointer(self) -> object:
        """Called before every call into Ceylon; the first time, it creates the instance there."""
        if self._config_file is None:
            require_ceylon()
            self._config_file = scratch_folder() / f"network-{next(_serial)}"
            self._callbacks = CeylonCallbacks(self)
            # A plain admin that starts this agent does not say where it is.
            with contextlib.suppress(InvalidInput):
                self.go_to_admin()
            config = UnifiedAgentConfig(
                name=self.name,
                mode=self.mode,
                role=self.role,
                work_space_id=self.workspace_id,
                port=self.port,
                admin_peer=self.admin_peer,
                admin_ip=self.admin_ip,
                buffer_size=self.buffer_size,
            )
            with standing_in(scratch_folder()):
                UnifiedAgent.__init__(
                    self,
                    config=config,
                    config_path=str(self._config_file),
                    on_message=self._callbacks,
                    processor=self._callbacks,
                    on_event=self._callbacks,
                    extra_data=None,
                )
        return super()._uniffi_clone_pointer()

    def discard(self) -> None:
        """Drop the instance in Ceylon, which has run; it is freed when its last user is done.

        Without this none would ever be collected: the instance and its callbacks refer to each
        other.
        """
        if self._config_file is not None:
            UnifiedAgent.__del__(self)
            delattr(self, "_pointer")  # else it would be given back twice
            self._config_file.unlink(missing_ok=True)
            self._config_file = None
            self._callbacks.close()

    def renew(self) -> None:
        """Prepare a new instance in Ceylon, with a new peer id, in place of the one that has run.

        No instance can be started twice, and one whose connection broke never repairs it.
        """
        self.discard()
        self._agent_failure = None
        self._redial.forget()
        self.connected_agents.clear()

    def has_met_anyone(self) -> bool:
        """Whether any other agent has sent something or announced itself."""
        return bool(self.connected_agents or self._greeted)

    async def dial_again(self) -> None:
        """Replace an instance in Ceylon that has met nobody by a new one that dials again."""
        await self._redial.replace(self, partial(self.settle_like, self))
        self.address_changed()

    def settle(self, *, workspace_id: str, port: int, admin_peer: str, host: str) -> None:
        """Set this agent's workspace and admin; the last change before it starts.

        The tutorial's workers are created before anyone knows the workspace and port of their
        manager. When Ceylon starts, it reads a file that overrides the constructor's arguments.
        """
        self._is_placed = True
        self.workspace_id = workspace_id
        self.port = port
        self.admin_peer = admin_peer
        self.admin_ip = host
        self.details()
        assert self._config_file is not None
        self.network_file().write(self._config_file)

    def settle_like(self, other: CeylonAgent) -> None:
        """Place this agent in the workspace of another one."""
        self.settle(
            workspace_id=other.workspace_id,
            port=other.port,
            admin_peer=other.admin_peer,
            host=other.admin_ip,
        )

    def network_file(self) -> NetworkFile:
        """What Ceylon reads when this agent starts, in place of the constructor's arguments."""
        return NetworkFile(self.workspace_id, self.admin_peer, self.admin_ip, str(self.port))

    def go_to_admin(self, *, is_starting: bool = False) -> None:
        """Use the admin's workspace and port if they are known and nobody has chosen others.

        They are known for the admins of this process, Muster's and Ceylon's own, and for one that
        left its `.ceylon_network` in the current directory.

        Args:
            is_starting: whether the agent starts now: then an admin of Muster's without a port has
                to choose it, and a failure is reported.

        Raises:
            InvalidInput: the admin is in another workspace than the chosen one.
        """
        if self.mode == PeerMode.ADMIN or self._is_placed or not self.admin_peer:
            return
        admin = find_admin(self.admin_peer)
        if is_starting and isinstance(admin, CeylonAgent):
            with contextlib.suppress(PortInUse):
                admin.claim_port()
        if admin is None:
            known = read_admin_address(self.admin_peer)
        else:
            known = AdminAddress(admin.workspace_id, admin.port or 0)
        if known is not None:
            asked = AdminAddress(self.workspace_id, self.port)
            try:
                self.workspace_id, self.port = agree_with_admin(self.name, asked, known)
            except InvalidInput as fault:
                if is_starting:
                    self.report_fault("joining", fault)
                raise

    def claim_port(self) -> None:
        """Check that an admin's port is free, and choose one if it is 0; further calls do nothing.

        Raises:
            PortInUse: another process uses the port.
        """
        if self.mode == PeerMode.ADMIN and not self._port_claimed:
            self.port = claim_port(self.port)
            self._port_claimed = True

    async def start_agent(
        self, inputs: bytes = b"", workers: Sequence[UnifiedAgent] | None = None
    ) -> None:
        """Join or open the workspace and run until stopped.

        Args:
            inputs: passed to `@on_run` handlers as they are; they are never unpickled.
            workers: agents that start together with this one and end with it.

        Raises:
            PortInUse: another process uses an admin's port.
            InvalidInput: a client knows no admin, or the host is not an IPv4 address.
        """
        if self.mode == PeerMode.ADMIN:
            self.claim_port()
            admin_peer = self.address
        else:
            admin_peer = self.admin_peer
        check_address(self.name, admin_peer, self.admin_ip)
        self.settle(
            workspace_id=self.workspace_id,
            port=self.port,
            admin_peer=admin_peer,
            host=self.admin_ip,
        )
        companions = list(workers or ())
        for companion in companions:
            if isinstance(companion, CeylonAgent):
                companion.settle_like(self)
            else:
                place_plain_agent(self, companion)
        self._started_by_itself = True
        uniffi_set_event_loop(asyncio.get_running_loop())
        try:
            if self.start_group is None or inputs or companions:
                starting = start_in_ceylon(self.current_instance().inside, inputs, companions)
                if all(isinstance(companion, CeylonAgent) for companion in companions):
                    await starting
                else:
                    await start_with_plain_agents(self, starting)
            else:
                await self.start_group.start(self)
        finally:
            for agent in (self, *companions):
                if isinstance(agent, CeylonAgent):
                    await agent.stop_serving()
        if self._agent_failure is not None:
            raise self._agent_failure

    async def stop_serving(self) -> None:
        """Wait until the agent has stopped using Ceylon.

        If Ceylon ends by itself, it does not wait for the agent.
        """
        serving = self._serving
        if serving is not None and not serving.done():
            await asyncio.wait([serving], timeout=_SERVING_ENDS_S)
            serving.cancel()
            await asyncio.wait([serving], timeout=_SERVING_ENDS_S)
        await self._redial.end()

    async def run(self, inputs: bytes) -> None:
        """Called by Ceylon once the agent has started; runs until the agent is done."""
        if self._redial.is_under_way and self._serving is not None:
            # The agent already serves: this is its second instance, which has dialed again.
            await asyncio.wait([self._serving])
            return
        began_at = now()
        self._serving = asyncio.current_task()
        watching: asyncio.Future[None] | None = None
        if self.mode == PeerMode.CLIENT and not self.can_dial_again():
            watching = asyncio.ensure_future(watch_dial(self))
        self.start_run_handlers(inputs)
        try:
            self.go_to_admin()
            await self.serve()
        except MusterError as fault:
            self._agent_failure = fault
            if not self._started_by_itself:
                self.joining_failed(fault)
        finally:
            if watching is not None:
                watching.cancel()
            if self.is_done():
                self.cancel_handlers()
            # The last frames are only queued; Ceylon's stop() would drop them.
            left_s = 0.0
            if self.mode == PeerMode.CLIENT:
                left_s = began_at + _REGISTERING_S - now()
            await asyncio.sleep(max(left_s, _LAST_FRAMES_S))
            await self._redial.end()
            if self._redial.replaced is not None:
                await self._redial.replaced.stop()
            elif self.start_group is None or not await self.start_group.end(self):
                await UnifiedAgent.stop(self)

    def current_instance(self) -> CeylonInstance:
        """The current instance in Ceylon. It can be stopped even after it was replaced."""
        return CeylonInstance(UnifiedAgent._make_instance_(self._uniffi_clone_pointer()))

    # ---------------------------------------------------------- what Ceylon calls

    async def on_message(self, agent: AgentDetail, data: bytes, time: int) -> None:
        """Called by Ceylon with each message; passes it on undecoded and returns at once."""
        self.remember(agent)
        self.receive(bytes(data))

    async def on_agent_connected(self, topic: str, agent: AgentDetail) -> None:
        """Called by Ceylon repeatedly for each peer; handlers are called once per peer."""
        self.member_appeared(agent.id)
        if agent.id in self.connected_agents:
            return
        if len(self.connected_agents) < MAX_KNOWN_PEERS:
            self.connected_agents[agent.id] = agent
        for pattern, handler in self._connect_handlers():
            if self._matches_pattern(pattern, topic, agent.role):
                self._start_handler("@on_connect handler", partial(handler, topic, agent))
