"""`muster why`: asks a running manager, a report or a store why a task stands where it stands."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, TypeAdapter, ValidationError

from ...messages import Answer, Inquiry, InvalidInput, TaskId, UnknownTask, WrongSecret
from ...messages.frame import ANY_MANAGER
from ..kernel.security.workspace_secret import WorkspaceSecret
from ..report.model import RunReport
from ..runtime.log import log
from ..security.sealing import seal_client
from ..security.ticket import Ticket
from ..transport.ceylon_agent import CeylonAgent
from ..transport.ceylon_api import PeerMode
from ..transport.endpoint import Endpoint
from .stored_run import read_kept_run

ASK_EVERY_S = 0.3
PATIENCE_S = 10.0
_TASK_ID: TypeAdapter[TaskId] = TypeAdapter(TaskId)


def readings_of(text: str) -> list[TaskId]:
    """What a task's id may be that the command line gives as text: an integer first, then text.

    Raises:
        InvalidInput: no task can have this id.
    """
    readings: list[TaskId] = []
    if re.fullmatch(r"[0-9]+", text):
        readings.append(int(text[:_MOST_DIGITS]))
    readings.append(text)
    possible = [reading for reading in readings if _is_task_id(reading)]
    if not possible:
        raise InvalidInput(
            f"no task can have the id {text[:_SHOWN_CHARACTERS]!r}; it is an integer above 0, "
            "or a text that is not blank, of 200 characters at most"
        )
    return possible


async def ask_manager(
    readings: Sequence[TaskId],
    ticket: Ticket,
    secret: WorkspaceSecret | None = None,
    *,
    insecure: bool = False,
) -> Sequence[str]:
    """Ask a running manager about a task.

    Args:
        readings: what the task's id may be; the first that the manager knows is answered.
        ticket: where the manager is.
        secret: what the workspace's members share, if the ticket does not carry it.
        insecure: do not seal.

    Returns:
        The answer, line by line.

    Raises:
        UnknownTask: the manager knows no such task.
        InvalidInput: nobody answers.
        WrongSecret: the manager does not share this secret.
    """
    inquirer = Inquirer(readings, ticket, secret, insecure=insecure)
    await inquirer.start_agent()
    if inquirer.lines is not None:
        return inquirer.lines
    if inquirer.refusal is not None:
        raise UnknownTask(inquirer.refusal)
    raise InvalidInput(
        f"no manager answers at {ticket.host}, UDP port {ticket.port}, within {PATIENCE_S:g} s; "
        "does it still run, and is this its latest ticket?"
    )


def ask_report(readings: Sequence[TaskId], path: Path) -> Sequence[str]:
    """Look a task up in a report that `muster manager --report` wrote.

    Raises:
        UnknownTask: the report knows no such task.
        InvalidInput: the file can't be read, or is not a report.
    """
    try:
        report = RunReport.model_validate_json(path.read_bytes())
    except OSError as fault:
        raise InvalidInput(f"the report {str(path)!r} can't be read: {fault.strerror}") from None
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(
            f"{str(path)!r} is not a report as JSON: {where + ': ' if where else ''}{first['msg']}"
        ) from None
    for reading in readings:
        for task in report.tasks:
            if task.id == reading:
                return task.why
    raise UnknownTask(f"the report {str(path)!r} has no task {readings[0]!r}")


def ask_store(readings: Sequence[TaskId], path: Path) -> Sequence[str]:
    """Look a task up where a manager keeps its run.

    Raises:
        UnknownTask: the run has no such task.
        StoreUnusable: there is no store, or it can't be read.
    """
    board = read_kept_run(path).board
    for reading in readings:
        if reading in board.tasks:
            return board.explain(reading).lines()
    raise UnknownTask(f"the run in {str(path)!r} has no task {readings[0]!r}")


class Inquirer(CeylonAgent):
    """A short-lived member of a workspace that asks about one task and leaves.

    Args:
        readings: what the task's id may be.
        ticket: where the manager is.
        secret: what the workspace's members share, if the ticket does not carry it.
        insecure: do not seal.
    """

    def __init__(
        self,
        readings: Sequence[TaskId],
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
        self._ticket = ticket
        self._secret = secret
        self._insecure = insecure
        self.lines: Sequence[str] | None = None
        self.refusal: str | None = None
        self.manager_time: float | None = None
        self._unasked = list(readings)
        self._inquiry = self._next_inquiry()
        self._answered = asyncio.Event()
        self._endpoint: Endpoint | None = None

    @property
    def is_answered(self) -> bool:
        """Whether the manager has answered, whatever it knows."""
        return self.lines is not None or self.refusal is not None

    @property
    def dropped(self) -> dict[str, int]:
        """How many frames could not be read, by what was wrong with them."""
        return {} if self._endpoint is None else dict(self._endpoint.dropped)

    async def serve(self) -> None:
        """Ask until the answer comes, or until patience ends."""
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
        posting = asyncio.create_task(self._endpoint.run())
        asking = asyncio.create_task(self._ask(self._endpoint))
        try:
            await asyncio.wait_for(self._answered.wait(), PATIENCE_S)
        except asyncio.TimeoutError:
            return
        else:
            if self.lines is None and self._endpoint.refusal is not None:
                raise WrongSecret(self._endpoint.refusal)
        finally:
            posting.cancel()
            asking.cancel()
            await asyncio.gather(posting, asking, return_exceptions=True)

    def address_changed(self) -> None:
        """Speak and be spoken to at the new address."""
        if self._endpoint is not None:
            self._endpoint.take_address()

    def receive(self, frame: bytes) -> None:
        """Take in a frame from the workspace."""
        if self._endpoint is not None:
            self._endpoint.receive(frame)

    def send_model(self, to: str, message: BaseModel) -> None:
        """Send a message by our codec."""
        if self._endpoint is not None:
            self._endpoint.post_datagram(to, message)

    def report_fault(self, doing: str, fault: BaseException) -> None:
        """Log what went wrong."""
        log.error("an inquiry failed", doing=doing, exc_info=fault)

    async def _ask(self, endpoint: Endpoint) -> None:
        # Neither question nor answer is sure to arrive.
        while True:
            endpoint.post_datagram(ANY_MANAGER, self._inquiry)
            await asyncio.sleep(ASK_EVERY_S)
            if endpoint.refusal is not None:
                self._answered.set()

    def _arrived(self, sender: str, message: BaseModel) -> None:
        del sender
        if not isinstance(message, Answer) or message.session != self._inquiry.session:
            return
        self.manager_time = message.at
        if message.found:
            self.lines = message.lines
            self._answered.set()
            return
        self.refusal = self.refusal or " ".join(message.lines)
        if not self._unasked:
            self._answered.set()
            return
        self._inquiry = self._next_inquiry()
        if self._endpoint is not None:
            self._endpoint.post_datagram(ANY_MANAGER, self._inquiry)

    def _next_inquiry(self) -> Inquiry:
        return Inquiry(task_id=self._unasked.pop(0), session=secrets.token_hex(8))


def _is_task_id(reading: TaskId) -> bool:
    try:
        _TASK_ID.validate_python(reading)
    except ValidationError:
        return False
    return True


_MOST_DIGITS = 1_000
"""Python refuses to read integers of more than 4,300 digits; an id has 19 at most."""

_SHOWN_CHARACTERS = 100
