"""`muster skills`: shows, exports, imports and forgets what workers have shown."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel

from ...messages import InvalidInput, SkillsAnswer, SkillsInquiry
from ..kernel.matching.scorecards.scorecard_file import SkillsFile, read_skills_file
from ..kernel.security.workspace_secret import WorkspaceSecret
from ..security.ticket import Ticket, read_ticket
from ..skills.policy_skills import content_of
from ..skills.skills_file import parse_skills, read_skills, write_skills
from ..store.places import StorePlace
from .console.credentials import take_secret, take_ticket, ticket_of_environment
from .manager_client import ManagerClient, no_answer
from .stored_skills import edit_stored_skills, read_stored_skills


class SkillsPlace(NamedTuple):
    """Where skills are kept: exactly one of these.

    Args:
        store: a store.
        file: a skills file.
        join: the ticket of a running manager, or a file with it.
    """

    store: StorePlace | None = None
    file: Path | None = None
    join: str | None = None

    def checked(self) -> SkillsPlace:
        """This place; the ticket is that of the environment if no place is given.

        Raises:
            InvalidInput: several places are given, or none.
        """
        place = self if any(self) else self._replace(join=ticket_of_environment())
        if sum(each is not None for each in place) != 1:
            raise InvalidInput(
                "give exactly one of --store, --file and --join (to ask a running manager)"
            )
        return place


def read_place(place: SkillsPlace, secret_file: Path | None, *, insecure: bool) -> SkillsFile:
    """Read the skills that are kept at a place.

    Raises:
        StoreUnusable: the store can't be read.
        InvalidInput: the file can't be read, or the manager does not answer.
    """
    match place.checked():
        case SkillsPlace(store=str() | Path() as store):
            return read_stored_skills(store)
        case SkillsPlace(file=Path() as file):
            return read_skills_file(read_skills(file))
        case SkillsPlace(join=join):
            ticket = read_ticket(take_ticket(join or ""))
            secret = take_secret(secret_file, insecure=insecure)
            return asyncio.run(ask_for_skills(ticket, secret, insecure=insecure))


def edit_place(place: SkillsPlace, edit: Callable[[SkillsFile], SkillsFile]) -> SkillsFile:
    """Replace the skills that are kept at a place.

    Args:
        place: the place; a running manager can't be edited.
        edit: returns the new skills for the former ones.

    Returns:
        The new skills.

    Raises:
        StoreUnusable: a manager holds the store, or it can't be read or written.
        InvalidInput: the file can't be read or written, or the place is a running manager.
    """
    match place.checked():
        case SkillsPlace(store=str() | Path() as store):
            return edit_stored_skills(store, edit)
        case SkillsPlace(file=Path() as file):
            known = read_skills_file(read_skills(file)) if file.exists() else SkillsFile()
            edited = edit(known)
            write_skills(file, content_of(edited))
            return edited
        case _:
            raise InvalidInput(
                "the skills of a running manager can't be changed; stop it, change them with "
                "--store or --file, and start it again"
            )


async def ask_for_skills(
    ticket: Ticket, secret: WorkspaceSecret | None = None, *, insecure: bool = False
) -> SkillsFile:
    """Ask a running manager what it has learned.

    Args:
        ticket: the manager's ticket.
        secret: the workspace secret, if the ticket does not contain it.
        insecure: do not seal frames.

    Raises:
        InvalidInput: the manager does not answer, or its policy learns no skills.
        WrongSecret: the manager has a different secret.
    """
    client = SkillsClient(ticket, secret, insecure=insecure)
    await client.start_agent()
    if client.problem:
        raise InvalidInput(f"the manager: {client.problem}")
    if not client.is_answered:
        raise no_answer(ticket)
    return client.skills


class SkillsClient(ManagerClient):
    """A short-lived agent that asks the manager for its skills, a few workers at a time.

    Args:
        ticket: the manager's ticket.
        secret: the workspace secret, if the ticket does not contain it.
        insecure: do not seal frames.
    """

    def __init__(
        self, ticket: Ticket, secret: WorkspaceSecret | None = None, *, insecure: bool = False
    ) -> None:
        self._session = secrets.token_hex(8)
        self._after = ""
        super().__init__(SkillsInquiry(session=self._session), ticket, secret, insecure=insecure)
        self.skills = SkillsFile()
        self.problem = ""
        self._is_complete = False

    @property
    def is_answered(self) -> bool:
        """Whether the manager has answered completely."""
        return self._is_complete

    def take(self, message: BaseModel) -> SkillsInquiry | None:
        """Take a part of the skills, and ask for the next one."""
        if (
            not isinstance(message, SkillsAnswer)
            or message.session != self._session
            or message.after != self._after
        ):
            return SkillsInquiry(session=self._session, after=self._after)
        self.problem = message.problem
        if not self.problem:
            self._add(message.content)
        if self.problem or message.is_last:
            self._is_complete = True
            return None
        return SkillsInquiry(session=self._session, after=self._after)

    def _add(self, content: bytes) -> None:
        try:
            part = read_skills_file(parse_skills(content))
        except InvalidInput as fault:
            self.problem = f"its answer can't be read: {fault}"
            return
        workers = self.skills.workers | part.workers
        self.skills = part.model_copy(update={"workers": workers})
        if max(part.workers, default="") > self._after:
            self._after = max(part.workers)
        else:
            self._is_complete = True
