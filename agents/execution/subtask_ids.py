"""The ids of subtasks, by which an attempt that is begun again finds those of the one before."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from ...messages import TaskId
from ...messages.task import MAX_NAME_CHARACTERS

_HASH_BYTES = 16

_part: ContextVar[tuple[str, Iterator[int]] | None] = ContextVar("part", default=None)


def make_subtask_id(parent_id: TaskId, place: str) -> str:
    """The id of a subtask, the same in each attempt of its parent.

    It is "PARENT/POSITION" or "PARENT:KEY". Where that is too long, a hash stands for the parent.

    Args:
        parent_id: the id of its parent.
        place: its position with a leading "/", or its key with a leading ":".
    """
    subtask_id = f"{parent_id}{place}"
    if len(subtask_id) <= MAX_NAME_CHARACTERS:
        return subtask_id
    digest = hashlib.blake2b(str(parent_id).encode(), digest_size=_HASH_BYTES).hexdigest()
    return f"{digest}{place}"


@contextmanager
def numbered_within(part: str) -> Generator[None, None, None]:
    """Number the subtasks that are submitted in this block by themselves.

    An attempt that is begun again finds them, although its parts come in another order.

    Args:
        part: names the part of the handler: once in an attempt, and the same in each attempt.
    """
    token = _part.set((part, itertools.count(1)))
    try:
        yield
    finally:
        _part.reset(token)


def next_place_in_part() -> str | None:
    """The place of the next subtask in the part of the handler that runs here; None if in none."""
    part = _part.get()
    return None if part is None else f":{part[0]}/{next(part[1])}"
