"""`Client`: submits tasks to a manager in another process."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from types import TracebackType

from ...messages import ManagerUnavailable
from ...messages.html_table import html_table
from ..execution.current_submitter import enter_submitter, exit_submitter
from ..kernel.security.workspace_secret import WorkspaceSecret
from ..runtime.background import BackgroundRun
from ..security.ticket import Ticket
from .agent import ClientAgent
from .blocking_client import BlockingConnect, ClientCalls

CONNECT_TIMEOUT_S = 10.0


class Client(ClientCalls):
    """Submits tasks to a manager that runs anywhere, and takes their results.

    ```python
    async with Client("ticket.txt") as client:
        result = await client.submit(Task(type="thumbnail", data="cat.png"))
    ```

    A client that ends, or is killed, loses no task: another one finds the result by the task's id,
    with `result`. If the connection or the manager is lost, the client dials again, repeats what
    has no reply, and asks for the results that it still waits for.

    Args:
        ticket: the manager's ticket, its text, or the path of the file that holds it. The file is
            read again whenever the client dials again.
        name: the client's name; by default a random one. A manager with `allow` must name it there.
        secret: the workspace secret, if the ticket does not contain it.
        insecure: do not encrypt, as a manager that was started so.
        nats_creds: a NATS credentials file, for a ticket over NATS; by default the one that
            `MUSTER_NATS_CREDS` names.
        tls_ca: a file with the certificates of authorities that NATS servers are checked against;
            by default the one that `MUSTER_NATS_TLS_CA` names, or else those of this machine.
        connect_timeout_s: how long to wait for the manager at first, in seconds; None for ever.

    Raises:
        InvalidInput: the file can't be read, or holds no ticket.
    """

    def __init__(
        self,
        ticket: Ticket | str | Path,
        *,
        name: str = "",
        secret: WorkspaceSecret | str | None = None,
        insecure: bool = False,
        nats_creds: str | Path | None = None,
        tls_ca: str | Path | None = None,
        connect_timeout_s: float | None = CONNECT_TIMEOUT_S,
    ) -> None:
        self.name = name or f"client-{secrets.token_hex(4)}"
        self._connect_timeout_s = connect_timeout_s
        self._agent = ClientAgent(
            self.name, ticket, secret, insecure=insecure, nats_creds=nats_creds, tls_ca=tls_ca
        )
        self._background = BackgroundRun(self.name, self._agent.leave)
        self._conversation = self._awaited = self._agent.conversation

    connect = BlockingConnect()
    """Connect a client for programs without asyncio; use it in a `with` statement.

    The arguments are those of `Client`; the errors are those of `Client` and `start`.
    """

    # ------------------------------------------------------------------ life cycle

    async def start(self) -> None:
        """Connect; returns when the manager has accepted the client.

        Raises:
            ManagerUnavailable: no manager has answered within `connect_timeout_s`.
            JoinRefused: the manager refuses this client.
            WrongSecret: the manager has another secret.
            NatsUnusable: the NATS servers of the ticket refuse the connection.
            InvalidInput: the client was started before.
        """
        self._conversation.open()
        starting = self._background.start(self._agent.start_agent, self._conversation.joined)
        try:
            await asyncio.wait_for(starting, self._connect_timeout_s)
        except asyncio.TimeoutError:
            await self.stop()
            raise ManagerUnavailable(
                f"no manager at {self._agent.ways.place}, answered "
                f"within {self._connect_timeout_s:g} s; "
                + (
                    self._agent.ways.fault
                    or "check that it is running and that this is its latest ticket"
                )
            ) from None
        if self._conversation.failure is not None:
            raise self._conversation.failure

    async def stop(self) -> None:
        """Disconnect; tasks that were submitted go on."""
        self._agent.leave()
        await self._background.wait()

    async def __aenter__(self) -> Client:
        await self.start()
        enter_submitter(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        exit_submitter(self)
        await self.stop()

    @property
    def dropped(self) -> dict[str, int]:
        """How many frames and messages could not be read, by what was wrong with them."""
        return self._conversation.dropped

    def _repr_html_(self) -> str:
        """What a notebook shows; what the manager has can only be awaited."""
        conversation = self._conversation
        return html_table(
            f"client {self.name!r}",
            ("manager", "connected", "tasks that it waits for"),
            [
                (
                    self._agent.ways.place,
                    "yes" if conversation.is_connected else "no",
                    f"{conversation.waiting_count:,}",
                )
            ],
            1,
        )
