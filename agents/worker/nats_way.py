"""Brings a worker or client into its run over NATS."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Protocol, TypeAlias

from ...messages import NatsUnusable
from ..kernel.discovery import DiscoveryCodec
from ..kernel.security.seal import Seal
from ..kernel.security.workspace_secret import WorkspaceSecret
from ..nats.address import NatsAddress
from ..runtime.log import log
from ..security.sealing import find_client_secret, seal_client
from ..security.ticket import Ticket
from ..transport.connection_request import request_over
from ..transport.direct_connection import ConnectionHolder, DirectConnection
from ..transport.link import Link
from ..transport.nats_link import NatsLink, open_nats_link
from .dialer import FIRST_PAUSE_S, LONGEST_PAUSE_S, DialingMember
from .manager_session import Connect
from .ticket_source import TicketSource

_LOOK_FOR_MANAGER_EVERY_S = 0.1
"""How often a member that has no manager any more looks whether it has one again."""

_TURN_S = 1.0
"""How long a member keeps others of its process from asking to join, in seconds."""

Converse: TypeAlias = Callable[[Link, Seal, Connect | None], Awaitable[None]]
"""What a member does over a link, until its end, or until the link is to be replaced."""


class NatsMember(Protocol):
    """What this way needs of the worker or client."""

    name: str

    def receive(self, frame: bytes) -> None:
        """Take a frame."""
        ...


class NatsWay:
    """Joins by the subjects of a run.

    The connection repairs itself, so a link is replaced only if the ticket has changed.

    Args:
        member: the worker or client.
        state: tells whether it is to stop.
        tickets: its ticket.
        converse: what it does over the link.
        secret: the secret, if it was passed explicitly.
        insecure: whether frames are not encrypted.
        creds_file: a NATS credentials file.
        tls_ca: a file with the certificates of the servers' authorities.
    """

    def __init__(
        self,
        member: NatsMember,
        state: DialingMember,
        tickets: TicketSource,
        converse: Converse,
        *,
        secret: WorkspaceSecret | str | None,
        insecure: bool,
        creds_file: str | Path | None,
        tls_ca: str | Path | None,
    ) -> None:
        self._member = member
        self._state = state
        self._tickets = tickets
        self._converse = converse
        self._secret = secret
        self._insecure = insecure
        self._creds_file = creds_file
        self._tls_ca = tls_ca
        self.fault = ""
        """Why there is no connection, as far as is known."""

    async def run(self) -> None:
        """Join, and return when the member is to stop, or has a ticket for another way.

        Raises:
            NatsUnusable: the servers refuse the first connection.
            InvalidInput: there is no secret, or the ticket's URL is wrong.
        """
        has_connected = False
        while not self._state.is_over:
            ticket = self._tickets.ticket
            if ticket is None or not ticket.nats:
                return
            seal = seal_client(
                self._member.name,
                ticket.workspace_id,
                "",
                secret=self._secret,
                insecure=self._insecure,
                ticket=ticket,
            )
            link = await self._open(ticket, seal, has_connected=has_connected)
            if link is None:
                continue
            has_connected = True
            turn = _Turn(link.asking)
            try:
                await turn.take()
                await self._converse(link, seal, partial(self._connect, ticket, seal, link, turn))
            finally:
                turn.give_back()
                await link.close()
            self._tickets.reread()

    async def _connect(
        self, ticket: Ticket, seal: Seal, link: NatsLink, turn: _Turn, holder: ConnectionHolder
    ) -> DirectConnection | None:
        """Ask the manager for a direct connection, as soon as there is a manager."""
        await self._state.joined.wait()
        turn.give_back()
        async with link.asking:
            while not self._state.manager_address:  # noqa: ASYNC110 - it changes in many ways
                await asyncio.sleep(_LOOK_FOR_MANAGER_EVERY_S)
            manager = self._state.manager_address
            secret = find_client_secret(
                self._member.name, "", secret=self._secret, insecure=self._insecure, ticket=ticket
            )
            talk = DiscoveryCodec(secret, ticket.workspace_id, seal.identity)
            reader, writer = link.circuits.dial(manager)
            return await request_over(
                reader, writer, talk, address=link.address, manager=manager, holder=holder
            )

    async def _open(self, ticket: Ticket, seal: Seal, *, has_connected: bool) -> NatsLink | None:
        """Connect, for as long as it takes; None if it is to stop, or has another ticket."""
        address = NatsAddress.parse(ticket.nats, self._creds_file, self._tls_ca)
        pause_s = FIRST_PAUSE_S
        while not self._state.is_over:
            try:
                link = await open_nats_link(
                    address,
                    ticket.workspace_id,
                    self._member.receive,
                    member=member_address(seal, ticket.workspace_id),
                    name=self._member.name,
                )
            except NatsUnusable as fault:
                if not (fault.may_pass or has_connected):
                    raise
                if not self.fault:
                    log.warning("still no NATS server", member=self._member.name, why=str(fault))
                self.fault = str(fault)
            else:
                self.fault = ""
                return link
            # Spread out, so that not all members dial a server at once that is back.
            pause_s = min(pause_s * 1.5, LONGEST_PAUSE_S)
            await self._tickets.wait_for_another(
                pause_s * random.uniform(0.5, 1.5),  # noqa: S311 - no secret
                lambda: self._state.is_over,
            )
            if self._tickets.is_outdated():
                self._tickets.reread()
                return None
        return None


class _Turn:
    """A place among the few members of a process that ask to join at once.

    Args:
        places: the places.
    """

    def __init__(self, places: asyncio.Semaphore) -> None:
        self._places = places
        self._expiry: asyncio.TimerHandle | None = None

    async def take(self) -> None:
        """Wait for a place; it is given back after a while even if no manager answers."""
        await self._places.acquire()
        self._expiry = asyncio.get_running_loop().call_later(_TURN_S, self.give_back)

    def give_back(self) -> None:
        """Let another member ask, unless that was done."""
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
            self._places.release()


def member_address(seal: Seal, run: str) -> str:
    """The address of a member over NATS: the session of its seal, or a random one."""
    return "" if seal.identity is None else seal.identity.session(run).hex()
