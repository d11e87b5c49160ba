"""Reads and edits the skills in a store."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from ...messages import DecodeError, StoreUnusable
from ..kernel.board.learned_rows import LearnedRows, restore_learned
from ..kernel.board.rows import Rows
from ..kernel.matching.policy_names import find_policy
from ..kernel.matching.scorecards.scorecard_file import SkillsFile, read_skills_file
from ..runtime.clock import now
from ..skills.policy_skills import content_of, find_scorecards, load_skills
from ..store.places import StorePlace, name_of_place, open_store, read_held

_LEARNING_POLICY = "adaptive"


def read_stored_skills(place: StorePlace) -> SkillsFile:
    """The skills in a store, whether a manager holds it or not.

    Raises:
        StoreUnusable: there is no store, or it can't be read.
    """
    return _skills_in(place, read_held(place)[0])


def edit_stored_skills(place: StorePlace, edit: Callable[[SkillsFile], SkillsFile]) -> SkillsFile:
    """Replace the skills in a store that no manager holds; a new store is created.

    Args:
        place: the store.
        edit: returns the new skills for the former ones.

    Returns:
        The new skills.

    Raises:
        StoreUnusable: a manager holds it, or it can't be read or written.
    """
    with contextlib.closing(open_store(place, name="muster skills")) as store:
        rows = store.load()
        edited = edit(_skills_in(place, rows))
        policy = find_policy(_LEARNING_POLICY)
        load_skills(find_scorecards(policy, "a store"), content_of(edited), now())
        written = LearnedRows(policy).changed()
        former = [row._replace(state=None) for row in rows.learned if row.policy == policy.name]
        store.write(Rows(learned=(*former, *written)))
    return edited


def _skills_in(place: StorePlace, rows: Rows) -> SkillsFile:
    policy = find_policy(_LEARNING_POLICY)
    try:
        restore_learned(policy, rows.learned)
    except DecodeError as fault:
        raise StoreUnusable(
            f"the store {name_of_place(place)!r} has skills that can't be read: {fault.detail}"
        ) from None
    return read_skills_file(find_scorecards(policy, "a store").export())
