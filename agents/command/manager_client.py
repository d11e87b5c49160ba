"""A short-lived agent that asks a running manager and leaves the workspace with the answer."""

from __future__ import annotations

import asyncio
import secrets
from abc import abstractmethod
from typing import TypeAlias

from pydantic import BaseModel

from ...messages import Inquiry, InvalidInput, RetryRequest, SkillsInquiry, WrongSecret
from ...messages.frame import ANY_MANAGER
from ..kernel.security.workspace_secret import WorkspaceSecret
from ..runtime.log import log
from ..security.sealing import seal_client
from ..security.ticket import Ticket
from ..transport.ceylon_agent import CeylonAgent
from ..transport.ceylon_api import PeerMode
from ..transport.endpoint import Endpoint

ManagerInquiry: TypeAlias = Inquiry | SkillsInquiry | RetryRequest
"""What a client may ask of a manager."""

RESEND_INTERVAL_S = 0.3
ANSWER_TIMEOUT_S = 10.0


def no_answer(ticket: Ticket) -> InvalidInput:
    """The error for a manager that does not answer."""
    return InvalidInput(
        f"no answer from a manager at {ticket.host}, UDP port {ticket.port}, within "
        f"{ANSWER_TIMEOUT_S:g} s; check that it is running and that this is its latest ticket"
    )


class ManagerClient(CeylonAgent):
    """Asks the manager, one inquiry after the other, and then leaves the workspace.

    Args:
        inquiry: the first inquiry.
        ticket: the manager's ticket.
        secret: the workspace secret, if the ticket does not contain it.
        insecure: do not seal frames.
    """

    def __init__(
        self,
        inquiry: ManagerInquiry,
        ticket: Ticket,
        secret: WorkspaceSecret | None = None,
        *,
        insecure: bool = False,
    ) -> None:
        super().__init__(
            f"inquirer-{secrets.token_hex(4)}",
            PeerMode.CLIENT,
            "inquirer",
            workspace_id=ticket.workspace_id,
            port=ticket.port,
            admin_peer=ticket.peer_id,
            host=ticket.host,
        )
        self.inquiry = inquiry
        self._ticket = ticket
        self._secret = secret
        self._insecure = insecure
        self._has_next = asyncio.Event()
        self._is_over = False
        self._endpoint: Endpoint | None = None

    @property
    @abstractmethod
    def is_answered(self) -> bool:
        """Whether the manager has answered."""

    @abstractmethod
    def take(self, message: BaseModel) -> ManagerInquiry | None:
        """Take a message, which may be an answer.

        Returns:
            The next inquiry, or the same one if this was no answer to it; None to leave.
        """

    @property
    def dropped(self) -> dict[str, int]:
        """The number of frames that could not be decoded, by reason."""
        return {} if self._endpoint is None else dict(self._endpoint.dropped)

    async def serve(self) -> None:
        """Ask until the last answer arrives, or none arrives in time."""
        seal = seal_client(
            self.name,
            self.workspace_id,
            self.admin_peer,
            secret=self._secret,
            insecure=self._insecure,
            ticket=self._ticket,
        )
        self._endpoint = Endpoint(
            self, listens_to=frozenset(), arrived=self._arrived, also={}, seal=seal
        )
        running = asyncio.create_task(self._endpoint.run())
        asking = asyncio.create_task(self._ask(self._endpoint))
        try:
            while not self._is_over:
                self._has_next.clear()
                await asyncio.wait_for(self._has_next.wait(), ANSWER_TIMEOUT_S)
        except asyncio.TimeoutError:
            return
        else:
            if not self.is_answered and self._endpoint.refusal is not None:
                raise WrongSecret(self._endpoint.refusal)
        finally:
            running.cancel()
            asking.cancel()
            await asyncio.gather(running, asking, return_exceptions=True)

    def address_changed(self) -> None:
        """Use the new address of this agent."""
        if self._endpoint is not None:
            self._endpoint.take_address()

    def receive(self, frame: bytes) -> None:
        """Process a frame from the workspace."""
        if self._endpoint is not None:
            self._endpoint.receive(frame)

    def send_model(self, to: str, message: BaseModel) -> None:
        """Send a message with Muster's codec."""
        if self._endpoint is not None:
            self._endpoint.post_datagram(to, message)

    def report_fault(self, doing: str, fault: BaseException) -> None:
        """Log an exception."""
        log.error("an inquiry failed", doing=doing, exc_info=fault)

    async def _ask(self, endpoint: Endpoint) -> None:
        # Inquiry and answer are sent without acknowledgement, and may be lost.
        while True:
            endpoint.post_datagram(ANY_MANAGER, self.inquiry)
            await asyncio.sleep(RESEND_INTERVAL_S)
            if endpoint.refusal is not None:
                self._leave()

    def _arrived(self, sender: str, message: BaseModel) -> None:
        del sender
        following = self.take(message)
        if following is None:
            self._leave()
        elif following != self.inquiry:
            self.inquiry = following
            self._has_next.set()
            self.send_model(ANY_MANAGER, following)

    def _leave(self) -> None:
        self._is_over = True
        self._has_next.set()
