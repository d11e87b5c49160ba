"""`muster skills`: shows, exports, imports and forgets what workers have shown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ...messages import InvalidInput
from ..client.client import Client
from ..kernel.matching.scorecards.scorecard_file import SkillsFile, read_skills_file
from ..skills.policy_skills import content_of
from ..skills.skills_file import read_skills, write_skills
from ..store.places import StorePlace
from .console.credentials import ticket_of_environment
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


def read_place(place: SkillsPlace, make_client: Callable[[str], Client]) -> SkillsFile:
    """Read the skills that are kept at a place.

    Args:
        place: the place.
        make_client: makes a client, not connected yet, of the manager with a ticket.

    Raises:
        StoreUnusable: the store can't be read.
        InvalidInput: the file can't be read, or the manager's policy learns no skills.
        ManagerUnavailable: the manager does not answer.
    """
    match place.checked():
        case SkillsPlace(store=str() | Path() as store):
            return read_stored_skills(store)
        case SkillsPlace(file=Path() as file):
            return read_skills_file(read_skills(file))
        case SkillsPlace(join=join):
            return asyncio.run(ask_for_skills(make_client(join or "")))


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


async def ask_for_skills(client: Client) -> SkillsFile:
    """Ask a running manager what it has learned.

    Args:
        client: a client that is not connected yet.

    Raises:
        InvalidInput: the manager's policy learns no skills, or its answer can't be read.
    """
    async with client:
        return read_skills_file(await client.skills())
