"""Formats values and validation errors as one line of text."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError

_MAX_SHOWN = 80
_MAX_FAULTS_SHOWN = 5
_MAX_FAULTS_LISTED = 1000
_MARK_CHARACTERS = 50
"""More than the note that replaces the middle of a text needs."""


class _ShortRepr(reprlib.Repr):
    """Formats the start of a value without formatting all of it."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = _MAX_SHOWN

    def repr_bytes(self, value: bytes, _level: int) -> str:
        """Format bytes, which reprlib does not shorten."""
        return repr(value) if len(value) <= self.maxstring else f"{value[:40]!r}..."


_short_repr = _ShortRepr()


_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SHORT_CHARACTERS = 8


def short_id(task_id: object) -> str:
    """An id for people, where room is short: of a UUID the last 8 characters, others as they are.

    The first characters of a UUID of version 7 are its time, which tasks added together share.
    """
    text = str(task_id)
    return f"…{text[-_SHORT_CHARACTERS:]}" if _UUID.fullmatch(text) else text


def find_known_id(possible: Sequence[int | str], known: Collection[int | str]) -> int | str | None:
    """The id that somebody means: the first that is known, or the only one with its short form.

    Args:
        possible: the ids that may be meant; the last one may be the last characters of a UUID, with
            or without "…" before them.
        known: all ids.
    """
    whole = next((each for each in possible if each in known), None)
    end = str(possible[-1]).removeprefix("…")
    if whole is not None or len(end) != _SHORT_CHARACTERS:
        return whole
    ending = (each for each in known if isinstance(each, str) and each.endswith(end))
    found = [each for each in ending if _UUID.fullmatch(each)]
    return found[0] if len(found) == 1 else None


def show(value: object) -> str:
    """The repr of a value, shortened to about 80 characters."""
    shown = _short_repr.repr(value)
    return shown if len(shown) <= _MAX_SHOWN else shown[: _MAX_SHOWN - 3] + "..."


def elide_middle(text: str, max_characters: int) -> str:
    """Shorten a text by leaving out its middle, which is replaced by how much is missing.

    Args:
        text: the text.
        max_characters: the maximum length of the result, 100 or more.
    """
    if len(text) <= max_characters:
        return text
    # The end of a traceback says more than its beginning.
    head = max_characters // 3
    tail = max_characters - head - _MARK_CHARACTERS
    mark = f"\n… {len(text) - head - tail:,} characters …\n"
    return text[:head] + mark + text[-tail:]


def summarize(fault: ValidationError, place: str = "") -> str:
    """Format a validation error as one line with each field, its value and its rule.

    Args:
        fault: the error.
        place: the name of the value; by default none, or that of its type if it has no fields.
    """
    count = fault.error_count()
    if count > _MAX_FAULTS_LISTED:
        # Each listed error takes almost a kilobyte, and a peer can cause millions.
        return f"{place or fault.title}: {count:,} invalid values, too many to list"
    parts: list[str] = []
    for problem in fault.errors(include_url=False, include_context=False)[:_MAX_FAULTS_SHOWN]:
        steps = (place, *map(_name, problem["loc"][:8]))
        name = ".".join(filter(None, steps)) or fault.title
        rule = " ".join(problem["msg"][:200].split())
        parts.append(f"{name}: {show(problem['input'])}: {rule}")
    line = "; ".join(parts)
    return line if count <= _MAX_FAULTS_SHOWN else f"{line}; and {count - _MAX_FAULTS_SHOWN} more"


def _name(step: int | str) -> str:
    # A peer may choose field names; they must not forge log lines.
    return (
        str(step)[:_MAX_SHOWN] if str(step).isidentifier() or isinstance(step, int) else show(step)
    )
