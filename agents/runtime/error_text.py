"""Exceptions as texts, and the exception for one that can't be transferred."""

from __future__ import annotations

from typing import cast

MAX_ERROR_CHARACTERS = 10_000

_MAX_PARTS_TOLD = 5
_MAX_PART_CHARACTERS = 500


class HandlerFailed(Exception):
    """What a handler raised, as a text, since the exception itself could not be transferred.

    Args:
        told: the exception as "Type: text".
    """

    def __init__(self, told: str) -> None:
        self.told = told
        super().__init__(told)


def describe_fault(fault: BaseException) -> str:
    """An exception as "Type: text", whatever its `__str__` does; a group with its first parts."""
    if isinstance(fault, HandlerFailed):
        return fault.told
    told = _describe_one(fault, MAX_ERROR_CHARACTERS)
    parts = getattr(fault, "exceptions", None)
    if isinstance(parts, tuple):
        exceptions = cast("tuple[BaseException, ...]", parts)
        told += "".join(
            f"; {_describe_one(each, _MAX_PART_CHARACTERS)}"
            for each in exceptions[:_MAX_PARTS_TOLD]
        )
    return told[:MAX_ERROR_CHARACTERS]


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
