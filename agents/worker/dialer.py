"""Brings a worker or client into its Ceylon workspace: finds the manager, and dials again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

from ..kernel.discovery import DiscoveryCodec, LaneAddress
from ..kernel.security.identity import Identity
from ..kernel.security.seal import Seal
from ..kernel.security.workspace_secret import WorkspaceSecret
from ..runtime.clock import now
from ..runtime.log import log
from ..runtime.ports import check_address
from ..security.sealing import find_client_secret, seal_client
from ..security.ticket import Ticket
from ..transport.ceylon_agent import CeylonAgent
from ..transport.ceylon_api import require_ceylon
from ..transport.direct_connection import ConnectionHolder, DirectConnection
from ..transport.discovery import ask_for_lane, request_direct_connection
from ..transport.quic_probe import answers_probe
from ..transport.start_group import start_group_of_workers
from .manager_session import Connect
from .ticket_source import TicketSource

if TYPE_CHECKING:
    from ..transport.ceylon_api import UnifiedAgent

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0
"""Mean pause before a worker looks for its manager again: the first one, and the longest."""

LONGEST_PAUSE_AFTER_DIAL_S = 300.0
"""The longest mean pause if the port answers but no manager accepts the worker: each dial costs
file descriptors."""

FIRST_DIAL_TIMEOUT_S = 3.0
"""How long a worker looks for its manager before it dials for the first time."""

FIRST_LOOK_AGAIN_S = 0.01
LOOK_AGAIN_EVERY_S = 0.1
"""Pause between two looks before the first dial: the first one, and the longest."""

DISCOVERY_LAG_S = 0.02
DISCOVERY_RETRY_EVERY_S = 0.005
"""By how much a starting manager's discovery may open after its agent, and how often a worker
retries it meanwhile."""

REFUSED_WITHIN_S = 0.2
"""No answer within this time means that a reachable machine has refused the connection."""


class DialingMember(Protocol):
    """What a way needs to know about the worker or client."""

    joined: asyncio.Event
    """Set when a manager has accepted it for the first time."""

    @property
    def is_over(self) -> bool:
        """Whether the worker is to stop."""
        ...

    @property
    def manager_address(self) -> str:
        """The address of the manager that it belongs to; "" if it has none."""
        ...

    @property
    def has_joined_by_this_connection(self) -> bool:
        """Whether a manager has accepted the worker over the newest connection."""
        ...


class CeylonWay:
    """Decides which address a worker or client dials, and when it dials again.

    The home address is the one in the worker's ticket or arguments. Discovery at the home address
    may name another one, a lane, which the agent then dials.

    Args:
        agent: the agent whose address is set before it dials.
        state: tells whether the worker is to stop, and whether it has joined.
        tickets: its ticket.
        secret: the workspace secret, if it was passed explicitly.
        insecure: whether frames are not sealed.
    """

    def __init__(
        self,
        agent: CeylonAgent,
        state: DialingMember,
        tickets: TicketSource,
        *,
        secret: WorkspaceSecret | str | None,
        insecure: bool,
    ) -> None:
        self._agent = agent
        self._state = state
        self._secret = secret
        self._insecure = insecure
        self._home = self._current_address()
        self._is_lane_bad = False
        self._tickets = tickets
        self._used: Ticket | None = None

    @property
    def place(self) -> str:
        """Where the manager is, for messages."""
        return f"{self._agent.admin_ip}, UDP port {self._agent.port}"

    def use_ticket(self) -> None:
        """Make the ticket's workspace the home, if it is another ticket than before."""
        ticket = self._tickets.ticket
        if ticket is not None and not ticket.nats and ticket is not self._used:
            self._used = ticket
            self._set_home(ticket)

    async def run(self, inputs: bytes, workers: Sequence[UnifiedAgent] | None) -> None:
        """Join, and return when the member is to stop, or has a ticket for another way.

        Args:
            inputs: passed to `@on_run` handlers.
            workers: agents that start together with this one and end with it.

        Raises:
            InvalidInput: no admin is known, or the host is no IPv4 address.
        """
        agent = self._agent
        self.settle_home()
        group = start_group_of_workers()
        if agent.start_group is not None and not (inputs or workers):
            group.announce(agent)
        try:
            await self.wait_for_manager()
            await CeylonAgent.start_agent(agent, inputs, workers)
            async for _ in self.redials():
                agent.renew()
                await CeylonAgent.start_agent(agent)
        finally:
            group.withdraw(agent)

    def _set_home(self, ticket: Ticket) -> None:
        self._home = (ticket.host, LaneAddress(ticket.workspace_id, ticket.peer_id, ticket.port))
        self._set_address(*self._home)

    # ------------------------------------------------------------------ finding and dialing

    def settle_home(self) -> None:
        """Settle the home address before the first dial.

        Raises:
            CeylonUnusable: Ceylon is not installed, or is left out of this process.
            InvalidInput: no admin is known, or the host is no IPv4 address.
        """
        require_ceylon()
        agent = self._agent
        if self._used is None:
            agent.go_to_admin(is_starting=True)
        self._home = self._current_address()
        check_address(agent.name, agent.admin_peer, agent.admin_ip)

    async def wait_for_manager(self) -> None:
        """Look for the manager before the first dial; return after a timeout in any case."""
        ends_at = now() + FIRST_DIAL_TIMEOUT_S
        pause_s = FIRST_LOOK_AGAIN_S
        while not await self.find_manager(may_be_starting=True):
            if self._state.is_over or now() >= ends_at:
                return
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 1.2, LOOK_AGAIN_EVERY_S)

    async def find_manager(self, *, may_be_starting: bool = False) -> bool:
        """Ask discovery which address to dial, and set it; the home address if it names none.

        Args:
            may_be_starting: whether discovery may only just be opening.

        Returns:
            Whether anything answers at the home address.
        """
        host, home = self._home
        if self._is_lane_bad:
            # A firewall may block the lane's port and not the home port.
            self._is_lane_bad = False
            self._set_address(host, home)
            return await answers_probe(host, home.port)
        ask = partial(ask_for_lane, host, home.port, self._make_codec(home), self._agent.name)
        asked_at = now()
        lane = await ask()
        if lane is None:
            may_follow = may_be_starting and now() - asked_at < REFUSED_WITHIN_S
            if not await answers_probe(host, home.port):
                self._set_address(host, home)
                return False
            ends_at = now() + DISCOVERY_LAG_S
            while lane is None and may_follow and now() < ends_at:
                await asyncio.sleep(DISCOVERY_RETRY_EVERY_S)
                lane = await ask()
        self._set_address(host, lane or home)
        return True

    async def redials(self) -> AsyncIterator[None]:
        """Yield whenever the worker is to dial again, until it is to stop."""
        pause_s = FIRST_PAUSE_S
        while not self._state.is_over:
            has_joined = self._state.has_joined_by_this_connection
            self._is_lane_bad = self._current_address() != self._home and not has_joined
            if self._agent.start_group is not None:
                start_group_of_workers().announce(self._agent)
            # Spread out, so that not all workers dial a restarted manager at once.
            await self._tickets.wait_for_another(
                pause_s * random.uniform(0.5, 1.5),  # noqa: S311 - no secret
                lambda: self._state.is_over,
            )
            if self._state.is_over:
                return
            self._tickets.reread()
            self.use_ticket()
            if self._tickets.ticket is not self._used:
                return
            if not await self.find_manager():
                pause_s = min(pause_s * 1.5, LONGEST_PAUSE_S)
                continue
            yield
            if self._state.has_joined_by_this_connection:
                pause_s = FIRST_PAUSE_S
            elif not self._state.is_over:
                log.warning(
                    "something answers at this address, but not as the manager of this ticket; a "
                    "manager that was restarted has a new ticket",
                    worker=self._agent.name,
                    host=self._home[0],
                    port=self._home[1].port,
                )
                pause_s = min(pause_s * 2, LONGEST_PAUSE_AFTER_DIAL_S)

    def _current_address(self) -> tuple[str, LaneAddress]:
        agent = self._agent
        return agent.admin_ip, LaneAddress(agent.workspace_id, agent.admin_peer, agent.port)

    def _set_address(self, host: str, address: LaneAddress) -> None:
        agent = self._agent
        agent.admin_ip = host
        agent.workspace_id, agent.admin_peer, agent.port = address

    # ------------------------------------------------------------------ sealing and connecting

    def make_seal(self) -> Seal:
        """The seal for the frames of the connection that is dialed now."""
        agent = self._agent
        return seal_client(
            agent.name,
            agent.workspace_id,
            agent.admin_peer,
            secret=self._secret,
            insecure=self._insecure,
            ticket=self._used,
        )

    def seal_and_connect(self, *, uses_own_address: bool) -> tuple[Seal, Connect]:
        """The seal of the connection that is dialed now, and what asks for a direct one beside it.

        Args:
            uses_own_address: see `connect_directly`.
        """
        seal = self.make_seal()
        asking = partial(self.connect_directly, seal.identity, uses_own_address=uses_own_address)
        return seal, asking

    async def connect_directly(
        self, identity: Identity | None, holder: ConnectionHolder, *, uses_own_address: bool
    ) -> DirectConnection | None:
        """Ask the manager for a direct connection; None if it gives none.

        Args:
            identity: proves which worker asks.
            holder: uses the connection.
            uses_own_address: whether to ask at the address that the agent uses now, as a worker
                does that its manager started.
        """
        host, home = self._current_address() if uses_own_address else self._home
        return await request_direct_connection(
            host,
            home.port,
            self._make_codec(home, identity),
            address=self._agent.address,
            manager=self._agent.admin_peer,
            holder=holder,
        )

    def _make_codec(self, home: LaneAddress, identity: Identity | None = None) -> DiscoveryCodec:
        secret = find_client_secret(
            self._agent.name,
            home.peer_id,
            secret=self._secret,
            insecure=self._insecure,
            ticket=self._used,
        )
        return DiscoveryCodec(secret, home.workspace_id, identity)
