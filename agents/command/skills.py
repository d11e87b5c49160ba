"""`muster skills`: shows, exports, imports and forgets what workers have shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ...messages import InvalidInput
from ..kernel.matching.scorecards.scorecard_file import SkillsFile, read_skills_file
from ..skills.policy_skills import content_of
from ..skills.skills_file import read_skills, write_skills
from ..store.places import StorePlace
from .stored_skills import edit_stored_skills, read_stored_skills


def read_place(store: StorePlace | None, file: Path | None) -> SkillsFile:
    """Read the skills that are kept in a store, or in a skills file.

    Raises:
        StoreUnusable: the store can't be read.
        InvalidInput: the file can't be read.
    """
    if file is not None:
        return read_skills_file(read_skills(file))
    return read_stored_skills(store or "")


def edit_place(
    store: StorePlace | None, file: Path | None, edit: Callable[[SkillsFile], SkillsFile]
) -> SkillsFile:
    """Replace the skills that are kept in a store, or in a skills file.

    Args:
        store: the store, or None.
        file: the skills file, or None.
        edit: returns the new skills for the former ones.

    Returns:
        The new skills.

    Raises:
        StoreUnusable: a manager holds the store, or it can't be read or written.
        InvalidInput: the file can't be read or written, or neither is given, since the skills of a
            running manager can't be changed.
    """
    if store is not None:
        return edit_stored_skills(store, edit)
    if file is not None:
        known = read_skills_file(read_skills(file)) if file.exists() else SkillsFile()
        edited = edit(known)
        write_skills(file, content_of(edited))
        return edited
    raise InvalidInput(
        "the skills of a running manager can't be changed; stop it, change them with --store or "
        "--file, and start it again"
    )
