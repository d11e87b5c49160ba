"""Finds a worker's manager: reads the ticket, asks discovery, probes the port and dials again."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Protocol

from ...messages import InvalidInput
from ..kernel.discovery import DiscoveryCodec, LaneAddress
from ..kernel.security.identity import Identity
from ..kernel.security.seal import Seal
from ..kernel.security.workspace_secret import WorkspaceSecret
from ..runtime.clock import now
from ..runtime.log import log
from ..runtime.ports import check_address
from ..security.sealing import find_client_secret, seal_client
from ..security.ticket import SCHEME, Ticket, read_ticket
from ..transport.ceylon_agent import CeylonAgent
from ..transport.ceylon_api import require_ceylon
from ..transport.direct_connection import ConnectionHolder, DirectConnection
from ..transport.discovery import ask_for_lane, request_direct_connection
from ..transport.quic_probe import answers_probe
from ..transport.start_group import start_group_of_workers

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0
"""Mean pause before a worker looks for its manager again: the first one, and the longest."""

LONGEST_PAUSE_AFTER_DIAL_S = 300.0
"""The longest mean pause if the port answers but no manager accepts the worker: each dial costs
file descriptors."""

CHECK_TICKET_EVERY_S = 1.0

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


class DialingWorker(Protocol):
    """What the dialer needs to know about the worker."""

    @property
    def is_over(self) -> bool:
        """Whether the worker is to stop."""
        ...

    @property
    def has_joined_by_this_connection(self) -> bool:
        """Whether a manager has accepted the worker over the newest connection."""
        ...


class Dialer:
    """Decides which address a worker dials, and when it dials again.

    The home address is the one in the worker's ticket or arguments. Discovery at the home address
    may name another one, a lane, which the agent then dials.

    Args:
        agent: the agent whose address is set before it dials.
        state: tells whether the worker is to stop, and whether it has joined.
        secret: the workspace secret, if it was passed explicitly.
        insecure: whether frames are not sealed.
    """

    def __init__(
        self,
        agent: CeylonAgent,
        state: DialingWorker,
        secret: WorkspaceSecret | str | None,
        insecure: bool,
    ) -> None:
        self._agent = agent
        self._state = state
        self._secret = secret
        self._insecure = insecure
        self._home = self._current_address()
        self._is_lane_bad = False
        self._ticket: Ticket | None = None
        self._ticket_file: Path | None = None

    # ------------------------------------------------------------------ ticket

    def use_ticket(self, ticket: Ticket | str | Path) -> None:
        """Make the ticket's workspace the worker's home; see `WorkerAgent.join`.

        Raises:
            InvalidInput: the file can't be read, or holds no ticket.
        """
        if isinstance(ticket, Ticket):
            self._set_home(ticket)
        else:
            is_ticket_text = isinstance(ticket, str) and ticket.strip().startswith(SCHEME)
            self._ticket_file = None if is_ticket_text else Path(ticket)
            self._set_home(read_ticket(ticket))

    def is_ticket_outdated(self) -> bool:
        """Whether the ticket file now holds another ticket than the one in use."""
        if self._ticket_file is None:
            return False
        try:
            return read_ticket(self._ticket_file) != self._ticket
        except InvalidInput:
            # The file is missing or half written; the next check will read it.
            return False

    def reread_ticket(self) -> None:
        """Use the newest ticket, if it is in a file that can be read."""
        if self._ticket_file is not None:
            with contextlib.suppress(InvalidInput):
                self._set_home(read_ticket(self._ticket_file))

    def _set_home(self, ticket: Ticket) -> None:
        self._ticket = ticket
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
        if self._ticket is None:
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
            start_group_of_workers().announce(self._agent)
            # Spread out, so that not all workers dial a restarted manager at once.
            await self._wait_for_ticket(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
            if self._state.is_over:
                return
            self.reread_ticket()
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

    async def _wait_for_ticket(self, timeout_s: float) -> None:
        """Wait until the ticket file has a new ticket, the worker is to stop, or a timeout."""
        ends_at = now() + timeout_s
        while (left_s := ends_at - now()) > 0:
            await asyncio.sleep(min(left_s, CHECK_TICKET_EVERY_S))
            if self._state.is_over or self.is_ticket_outdated():
                return

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
            ticket=self._ticket,
        )

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
            ticket=self._ticket,
        )
        return DiscoveryCodec(secret, home.workspace_id, identity)
