"""The way into a workspace that a member's ticket names: Ceylon's, or one over NATS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...messages import InvalidInput
from ..kernel.security.workspace_secret import WorkspaceSecret
from ..nats.address import check_files
from ..security.sealing import check_secret
from ..security.ticket import Ticket
from ..transport.ceylon_agent import CeylonAgent
from .dialer import CeylonWay, DialingMember
from .ticket_source import TicketSource

if TYPE_CHECKING:
    from ..transport.ceylon_api import UnifiedAgent
    from .nats_way import Converse, NatsWay


class Ways:
    """A worker's or client's ways to its manager; the ticket decides which one it goes.

    Args:
        agent: the worker or client.
        state: tells whether it is to stop, and whether it has joined.
        converse: what it does over a link of another kind than Ceylon's.
        secret: the workspace secret, if it was passed explicitly.
        insecure: whether frames are not encrypted.
        nats_creds: a NATS credentials file; by default the one that `MUSTER_NATS_CREDS` names.
        tls_ca: a file with the certificates of authorities that NATS servers are checked against;
            by default the one that `MUSTER_NATS_TLS_CA` names.

    Raises:
        InvalidInput: the secret is not valid, or a file is not there.
    """

    def __init__(
        self,
        agent: CeylonAgent,
        state: DialingMember,
        converse: Converse,
        *,
        secret: WorkspaceSecret | str | None,
        insecure: bool,
        nats_creds: str | Path | None = None,
        tls_ca: str | Path | None = None,
    ) -> None:
        check_secret(secret, insecure=insecure)
        check_files(nats_creds, tls_ca)
        self._agent = agent
        self._state = state
        self._converse = converse
        self._secret = secret
        self._insecure = insecure
        self._nats_creds = nats_creds
        self._tls_ca = tls_ca
        self._tickets = TicketSource()
        self.ceylon = CeylonWay(agent, state, self._tickets, secret=secret, insecure=insecure)
        self._nats: NatsWay | None = None

    def use_ticket(self, ticket: Ticket | str | Path) -> None:
        """Join with a ticket; see `WorkerAgent.join`.

        Raises:
            InvalidInput: the file can't be read, or holds no ticket.
        """
        self._tickets.use(ticket)
        self._agent.is_over_nats = self.is_over_nats
        self.ceylon.use_ticket()

    @property
    def is_over_nats(self) -> bool:
        """Whether the ticket names NATS servers."""
        ticket = self._tickets.ticket
        return ticket is not None and bool(ticket.nats)

    @property
    def place(self) -> str:
        """Where the manager is, for messages."""
        ticket = self._tickets.ticket
        return self.ceylon.place if ticket is None or not ticket.nats else ticket.place

    @property
    def fault(self) -> str:
        """Why there is no connection, as far as is known."""
        return "" if self._nats is None else self._nats.fault

    def is_ticket_outdated(self) -> bool:
        """Whether the ticket file now holds another ticket than the one in use."""
        return self._tickets.is_outdated()

    def can_dial_again(self) -> bool:
        """Whether a link that is given up can be replaced.

        A connection to NATS repairs itself: only another ticket leads elsewhere.
        """
        return self.is_ticket_outdated() or not self.is_over_nats

    async def run(self, inputs: bytes, workers: Sequence[UnifiedAgent] | None) -> None:
        """Join, and return when the member is to stop.

        Args:
            inputs: passed to `@on_run` handlers.
            workers: agents that start together with this one and end with it.

        Raises:
            NatsUnusable: the NATS servers refuse the connection.
            InvalidInput: no admin is known, the host is no IPv4 address, or the ticket's URL is no
                URL of NATS servers.
        """
        while True:
            self._agent.is_over_nats = self.is_over_nats
            if self.is_over_nats:
                await self._run_over_nats(inputs, workers)
            else:
                self.ceylon.use_ticket()
                await self.ceylon.run(inputs, workers)
            if self._state.is_over:
                return
            # Its file has a ticket for the other way now.

    async def _run_over_nats(self, inputs: bytes, workers: Sequence[UnifiedAgent] | None) -> None:
        if workers:
            raise InvalidInput(
                f"agent {self._agent.name!r} joins over NATS, where no other agents start with it; "
                "start each of them by itself, with the same ticket"
            )
        from .nats_way import NatsWay  # noqa: PLC0415 - it needs an extra

        way = self._nats = self._nats or NatsWay(
            self._agent,
            self._state,
            self._tickets,
            self._converse,
            secret=self._secret,
            insecure=self._insecure,
            creds_file=self._nats_creds,
            tls_ca=self._tls_ca,
        )
        self._agent.start_run_handlers(inputs)
        try:
            await way.run()
        finally:
            if self._state.is_over:
                self._agent.cancel_handlers()
