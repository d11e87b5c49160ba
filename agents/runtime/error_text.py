"""Exceptions as texts, and the exception for one that can't be transferred."""

from __future__ import annotations

from typing import cast

MAX_ERROR_CHARACTERS = 10_000

_MAX_PARTS_TOLD = 5
_MAX_DEPTH = 3
"""How deeply the parts of nested groups are named."""
_MAX_PART_CHARACTERS = 500


class HandlerFailed(Exception):
    """What a handler raised, as a text, since the exception itself could not be transferred.

    Args:
        told: the exception as "Type: text".
        traceback: its traceback as text; None if there is none.
    """

    def __init__(self, told: str, traceback: str | None = None) -> None:
        self.told = told
        self.traceback = traceback
        super().__init__(told)


def describe_fault(fault: BaseException) -> str:
    """An exception as "Type: text", whatever its `__str__` does; a group with its first parts."""
    return _describe(fault, MAX_ERROR_CHARACTERS, _MAX_DEPTH)[:MAX_ERROR_CHARACTERS]


def parts_of(fault: BaseException) -> tuple[BaseException, ...]:
    """The exceptions of a group; none if it is not a group."""
    # Exception groups exist from Python 3.11 on; before, a library defines them.
    parts = getattr(fault, "exceptions", None) if "Group" in type(fault).__name__ else None
    if not isinstance(parts, tuple):
        return ()
    return tuple(
        each for each in cast("tuple[object, ...]", parts) if isinstance(each, BaseException)
    )


def _describe(fault: BaseException, max_characters: int, depth: int) -> str:
    if isinstance(fault, HandlerFailed):
        return fault.told[:max_characters]
    parts = parts_of(fault) if depth else ()
    if not parts:
        return _describe_one(fault, max_characters)
    count = "1 error" if len(parts) == 1 else f"{len(parts):,} errors"
    told = [_describe(each, _MAX_PART_CHARACTERS, depth - 1) for each in parts[:_MAX_PARTS_TOLD]]
    if len(parts) > _MAX_PARTS_TOLD:
        told.append(f"and {len(parts) - _MAX_PARTS_TOLD:,} more")
    return f"{type(fault).__name__}: {count}: {'; '.join(told)}"[:max_characters]


def _describe_one(fault: BaseException, max_characters: int) -> str:
    text = ""
    try:
        # The text may be of a subclass of str.
        text = str.__str__(str(fault))
    except BaseException:  # noqa: BLE001 - `__str__` may raise anything
        text = ""
    name = type(fault).__name__
    told = f"{name}: {text}" if text else name
    # Lone surrogates can't be sent.
    return str.encode(told[:max_characters], "utf-8", "backslashreplace").decode()
