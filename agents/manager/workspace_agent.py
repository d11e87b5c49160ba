"""A manager as a member of its Ceylon workspace: opens or joins it, and talks to its members."""

from __future__ import annotations

import asyncio
import contextlib
from abc import abstractmethod
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel

from ...messages import InvalidInput, TaskAssignment
from ..kernel.discovery import DiscoveryCodec
from ..kernel.security.workspace_secret import WorkspaceSecret
from ..runtime.ports import check_address
from ..security.shared_secrets import share
from ..security.ticket import Ticket
from ..transport.ceylon_agent import CeylonAgent
from ..transport.ceylon_api import AgentDetail, PeerMode, require_ceylon
from ..transport.host_watch import wait_for_host, watch_host
from ..transport.lane_manager import LaneManager
from ..transport.link import Link
from .assigning import Assigning
from .companions import end_companions, start_companion
from .options import ROLE, ManagerOptions
from .own_matching import WorkerDetail
from .run_view import RunView

if TYPE_CHECKING:
    from ..transport.ceylon_api import UnifiedAgent
    from ..transport.nats_link import NatsLink


class WorkspaceAgent(RunView, CeylonAgent):
    """The manager's Ceylon agent.

    Args:
        options: the manager's options.
    """

    _assigning: Assigning

    def __init__(self, options: ManagerOptions) -> None:
        super().__init__(
            options.name,
            options.peer_mode,
            ROLE,
            workspace_id=options.workspace_id,
            port=options.port,
            admin_peer=options.admin_peer,
            host=options.host,
        )
        self._manager_options = options
        self._sealing = options.sealing()
        self._lane_plan = options.lanes()
        self._lane_manager: LaneManager | None = None
        self._links = options.links()
        self._is_over_ceylon = self._links.has_ceylon
        self.is_over_nats = not self._links.has_ceylon

    @property
    def secret(self) -> WorkspaceSecret | None:
        """The secret that the workspace's frames are encrypted with; None if they are not."""
        return self._sealing.secret

    def details(self) -> AgentDetail:
        """Name, role and peer id; agents of this process learn the workspace's secret by it."""
        if not self._links.has_ceylon:
            return AgentDetail(
                name=self.name, id=self.nats_address(), role=self.role, extra_data=None
            )
        detail = super().details()
        share(self.admin_peer or detail.id, self._sealing.secret)
        return detail

    def ticket(self, host: str | None = None, *, with_secret: bool | None = None) -> Ticket:
        """All that a worker in another process needs to join.

        Args:
            host: the IPv4 address by which the worker reaches this machine.
            with_secret: whether the ticket contains the workspace's secret. By default it does if
                the manager made the secret itself, since nobody else has it.

        Raises:
            PortInUse: another program uses the manager's port.
        """
        if not self._links.has_ceylon:
            return self.nats_ticket(with_secret=with_secret)
        self.claim_port()
        return Ticket(
            workspace_id=self.workspace_id,
            peer_id=self.admin_peer or self.address,
            host=host or self.admin_ip,
            port=self.port,
            sealed=self._sealing.secret is not None,
            secret=self._sealing.ticket_secret(with_secret),
        )

    def nats_ticket(self, *, with_secret: bool | None = None) -> Ticket:
        """All that a worker needs to join over NATS; a user's password is in it with the secret.

        Args:
            with_secret: whether the ticket contains the run's secret; see `ticket`.

        Raises:
            InvalidInput: the manager uses no NATS servers.
        """
        nats = self._links.nats
        if nats is None:
            raise InvalidInput(
                f"manager {self.name!r} uses no NATS servers; give it link='nats://HOST:PORT'"
            )
        secret = self._sealing.ticket_secret(with_secret)
        return Ticket(
            self.workspace_id,
            "",
            "",
            0,
            sealed=self._sealing.secret is not None,
            secret=secret,
            nats=(nats if secret is not None else nats.without_password()).url,
        )

    @property
    def has_nats_beside_ceylon(self) -> bool:
        """Whether it has a ticket for each of two ways."""
        return self._links.has_ceylon and self._links.nats is not None

    def nats_address(self) -> str:
        """The manager's address over NATS."""
        return self._sealing.identity.session(self.workspace_id).hex()

    async def broadcast_message(self, message: object) -> None:
        """Send a message to everyone; the task of a `TaskAssignment` is assigned to one worker.

        Raises:
            DifferentTask: the manager has another task of the same id as the assigned one.
            InvalidTask: the task can't be added, or the assignment's timeout is not above 0.
        """
        if isinstance(message, TaskAssignment):
            self._assigning.hand_out(message)
        else:
            await super().broadcast_message(message)

    async def send_message(self, peer_id: str, message: object) -> None:
        """Send a message to one member; the task of a `TaskAssignment` is assigned to this worker.

        Raises:
            InvalidInput: no worker is known at the address that a task is sent to.
            DifferentTask: the manager has another task of the same id as the assigned one.
            InvalidTask: the task can't be added, or the assignment's timeout is not above 0.
        """
        if isinstance(message, TaskAssignment):
            self._assigning.hand_out(message, self._find_worker(peer_id))
        else:
            await super().send_message(peer_id, message)

    def send_model(self, to: str, message: BaseModel) -> None:
        """Send a message of the user's own by Muster's codec, to an address or to everyone."""
        self._shell.send_to(to, message)

    def receive(self, frame: bytes) -> None:
        """Take a frame from the workspace."""
        self._shell.receive(frame)

    def address_changed(self) -> None:
        """Use the agent's new address from now on."""
        self._shell.address_changed()

    async def get_connected_agents(self) -> list[AgentDetail]:
        """The agents that have appeared in its workspaces, in this order.

        Ceylon never removes one. Workers that have joined also have `skill_level`, `specialties`
        and `slots`. Over another link than Ceylon, only they are listed.
        """
        found: list[AgentDetail] = []
        if self._is_over_ceylon:
            found += await super().get_connected_agents()
            if self._lane_manager is not None:
                found += await self._lane_manager.connected()
        # A worker may have joined before Ceylon lists it.
        known = {each.id: each for each in found}
        joined = {each: WorkerDetail(of) for each, of in self.board.worker_registry.present.items()}
        return list({**known, **joined}.values())

    def has_met_admin(self) -> bool:
        """Whether the admin of its workspace has appeared."""
        return self.admin_peer in self.connected_agents

    def count_received(self) -> int:
        """How many frames have arrived."""
        return self._shell.traffic.frames_received

    async def _start_in_workspace(
        self, inputs: bytes, workers: Sequence[UnifiedAgent] | None
    ) -> None:
        """Open the workspace, or join it as a guest, and run until the manager is done."""
        if not self._links.has_ceylon:
            await self._run_over_nats(inputs, workers)
            return
        require_ceylon()
        if self.mode != PeerMode.ADMIN:
            self.go_to_admin(is_starting=True)
            check_address(self.name, self.admin_peer, self.admin_ip)
            await wait_for_host(self)
            await super().start_agent(inputs, workers)
            return
        self.claim_port()
        options = self._manager_options
        lanes = self._lane_manager = LaneManager(
            self,
            self._sealing,
            self._lane_plan,
            options.lane_ports,
            direct_connections=options.direct_connections,
        )
        if not (inputs or workers):
            # Workers that start together with the manager are in its own workspace.
            self.start_group = lanes.start_group
            lanes.prepare(self._shell.driver.rules.expected_workers)
        try:
            await super().start_agent(inputs, workers)
        finally:
            lanes.close()
            await lanes.closed()

    async def _run_over_nats(self, inputs: bytes, workers: Sequence[UnifiedAgent] | None) -> None:
        """Join the run over NATS, start the workers that were given, and manage."""
        ticket = self.nats_ticket(with_secret=True)
        async with self._nats_link() as link:
            assert link is not None
            self.start_run_handlers(inputs)
            started = [start_companion(each, ticket) for each in workers or ()]
            try:
                await self._serve_over_nats(link)
            finally:
                self.cancel_handlers()
                await end_companions(started)

    @abstractmethod
    async def _serve_over_nats(self, link: NatsLink) -> None:
        """Manage over this link alone."""

    @contextlib.asynccontextmanager
    async def _nats_link(self) -> AsyncGenerator[NatsLink | None]:
        """The link over NATS; None if the manager uses no NATS servers."""
        nats = self._links.nats
        if nats is None:
            yield None
            return
        from ..transport.nats_link import open_nats_link  # noqa: PLC0415 - it needs an extra

        link = await open_nats_link(
            nats,
            self.workspace_id,
            self.receive,
            member=self.nats_address(),
            manages=True,
            name=self.name,
        )
        try:
            if self._manager_options.direct_connections:
                self._shell.accept_over(
                    link,
                    DiscoveryCodec(self._sealing.secret, self.workspace_id, self._sealing.identity),
                )
            yield link
        finally:
            await link.close()

    def _use_link(self, link: Link) -> None:
        """Note which link the manager runs over."""
        self._is_over_ceylon = link is self

    def _watch_host(self) -> asyncio.Future[None] | None:
        """Break off the run of a guest when its host is gone; None for the admin."""
        if self.mode == PeerMode.ADMIN:
            return None
        timeout_s = self._shell.driver.rules.lost_after_s
        return asyncio.ensure_future(watch_host(self, timeout_s, self._shell.break_off))

    def _find_worker(self, peer_id: str) -> str:
        worker = self.ask(lambda: self.board.worker_registry.find(peer_id))
        found = worker or self.connected_agents.get(peer_id)
        if found is None:
            raise InvalidInput(f"a task is sent to {peer_id!r}, but no worker has this address")
        return found.name
