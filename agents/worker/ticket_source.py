"""Where a member has its ticket from: a text, or a file that may get another ticket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from ...messages import InvalidInput
from ..runtime.clock import now
from ..security.ticket import SCHEME, Ticket, read_ticket

CHECK_TICKET_EVERY_S = 0.2
"""How often a member without a connection looks whether there is another ticket, in seconds."""


class TicketSource:
    """A member's ticket, which may be in a file.

    Attributes:
        ticket: the ticket in use; None if the member has none.
    """

    def __init__(self) -> None:
        self.ticket: Ticket | None = None
        self._file: Path | None = None

    def use(self, ticket: Ticket | str | Path) -> None:
        """Use a ticket, or the file that holds it.

        Raises:
            InvalidInput: the file can't be read, or holds no ticket.
        """
        if isinstance(ticket, Ticket):
            self.ticket = ticket
            return
        is_text = isinstance(ticket, str) and ticket.strip().startswith(SCHEME)
        self._file = None if is_text else Path(ticket)
        self.ticket = read_ticket(ticket)

    def is_outdated(self) -> bool:
        """Whether the ticket file now holds another ticket than the one in use."""
        if self._file is None:
            return False
        try:
            return read_ticket(self._file) != self.ticket
        except InvalidInput:
            # The file is missing or half written; the next check will read it.
            return False

    def reread(self) -> None:
        """Use the newest ticket, if it is in a file that can be read."""
        if self._file is not None:
            with contextlib.suppress(InvalidInput):
                self.ticket = read_ticket(self._file)

    async def wait_for_another(self, timeout_s: float, is_over: Callable[[], bool]) -> None:
        """Wait until the file has another ticket, or the member is to stop, or until a timeout."""
        ends_at = now() + timeout_s
        while not (is_over() or self.is_outdated()):
            left_s = ends_at - now()
            if left_s <= 0:
                return
            await asyncio.sleep(min(left_s, CHECK_TICKET_EVERY_S))
