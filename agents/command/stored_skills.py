"""Reads and edits the skills in a store."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from ...messages import DecodeError, StoreUnusable
from ..kernel.board.learned_rows import LearnedRows, restore_learned
from ..kernel.board.rows import Rows
from ..kernel.matching.policy_names import find_policy
from ..kernel.matching.scorecards.scorecard_file import SkillsFile, read_skills_file
from ..runtime.clock import now
from ..skills.policy_skills import content_of, find_scorecards, load_skills
from ..store.sqlite import SqliteStore, read_store

_LEARNING_POLICY = "adaptive"


def read_stored_skills(path: Path) -> SkillsFile:
    """The skills in a store, whether a manager holds it or not.

    Raises:
        StoreUnusable: there is no store, or it can't be read.
    """
    return _skills_in(path, read_store(path))


def edit_stored_skills(path: Path, edit: Callable[[SkillsFile], SkillsFile]) -> SkillsFile:
    """Replace the skills in a store that no manager holds; a new store is created.

    Args:
        path: the store.
        edit: returns the new skills for the former ones.

    Returns:
        The new skills.

    Raises:
        StoreUnusable: a manager holds it, or it can't be read or written.
    """
    with contextlib.closing(SqliteStore(path)) as store:
        rows = store.load()
        edited = edit(_skills_in(path, rows))
        policy = find_policy(_LEARNING_POLICY)
        load_skills(find_scorecards(policy, "a store"), content_of(edited), now())
        written = LearnedRows(policy).changed()
        former = [row._replace(state=None) for row in rows.learned if row.policy == policy.name]
        store.write(Rows(learned=(*former, *written)))
    return edited


def _skills_in(path: Path, rows: Rows) -> SkillsFile:
    policy = find_policy(_LEARNING_POLICY)
    try:
        restore_learned(policy, rows.learned)
    except DecodeError as fault:
        raise StoreUnusable(
            f"the store {str(path)!r} has skills that can't be read: {fault.detail}"
        ) from None
    return read_skills_file(find_scorecards(policy, "a store").export())
