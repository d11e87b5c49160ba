"""A client's agent in a Ceylon workspace: finds the manager, joins, and dials again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from ...messages import MusterError
from ..kernel.security.seal import Seal
from ..kernel.security.workspace_secret import WorkspaceSecret
from ..runtime.log import log
from ..security.ticket import Ticket
from ..transport.ceylon_agent import CeylonAgent
from ..transport.ceylon_api import PeerMode
from ..transport.link import Link
from ..worker.manager_session import Connect
from ..worker.ways import Ways
from .conversation import ClientConversation

if TYPE_CHECKING:
    from ..transport.ceylon_api import UnifiedAgent

ROLE = "client"


class ClientAgent(CeylonAgent):
    """Carries a client's conversation over Ceylon and direct connections.

    Args:
        name: the client's name.
        ticket: the manager's ticket, its text, or the path of the file that holds it.
        secret: the workspace secret, if the ticket does not contain it.
        insecure: do not encrypt frames.
        nats_creds: a NATS credentials file, for a ticket over NATS.
        tls_ca: a file with the certificates of authorities that NATS servers are checked against.

    Raises:
        InvalidInput: the file can't be read, or holds no ticket.
    """

    def __init__(
        self,
        name: str,
        ticket: Ticket | str | Path,
        secret: WorkspaceSecret | str | None,
        *,
        insecure: bool,
        nats_creds: str | Path | None = None,
        tls_ca: str | Path | None = None,
    ) -> None:
        super().__init__(name, PeerMode.CLIENT, ROLE, workspace_id="", port=0)
        self.conversation = ClientConversation(name, self.can_dial_again, self.is_ticket_outdated)
        self.ways = Ways(
            self,
            self.conversation,
            self._converse,
            secret=secret,
            insecure=insecure,
            nats_creds=nats_creds,
            tls_ca=tls_ca,
        )
        self.ways.use_ticket(ticket)

    async def start_agent(
        self, inputs: bytes = b"", workers: Sequence[UnifiedAgent] | None = None
    ) -> None:
        """Join the workspace and converse until `leave`; dial again as often as it takes."""
        await self.ways.run(inputs, workers)

    async def serve(self) -> None:
        """Converse over the connection that was made; return when it is to be replaced."""
        seal, connect = self.ways.ceylon.seal_and_connect(uses_own_address=False)
        await self._converse(self, seal, connect)

    async def _converse(self, link: Link, seal: Seal, connect: Connect | None) -> None:
        await self.conversation.run(link, seal, connect)

    def leave(self) -> None:
        """Say goodbye and end."""
        self.conversation.leave()

    def can_dial_again(self) -> bool:
        """Whether the agent itself detects a useless connection, and replaces it."""
        return self.ways.can_dial_again()

    def is_ticket_outdated(self) -> bool:
        """Whether its ticket file holds another ticket than the one in use."""
        return self.ways.is_ticket_outdated()

    def is_done(self) -> bool:
        """Whether it will not dial again."""
        return self.conversation.is_over

    def member_appeared(self, address: str) -> None:
        """Ask for a conversation as soon as the manager can receive the request."""
        if address == self.admin_peer:
            self.conversation.greet()

    def address_changed(self) -> None:
        """Send from and receive at the new address."""
        self.conversation.address_changed()

    def receive(self, frame: bytes) -> None:
        """Take a frame from the workspace."""
        self.conversation.receive(frame)

    def send_model(self, to: str, message: BaseModel) -> None:
        """Send nothing: a client has no messages of its own."""

    def joining_failed(self, fault: MusterError) -> None:
        """Log why the client could not join."""
        self.report_fault("joining", fault)

    def report_fault(self, doing: str, fault: BaseException) -> None:
        """Log an exception."""
        log.error("a client failed", client=self.name, doing=doing, exc_info=fault)
