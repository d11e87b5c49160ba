"""Exceptions as texts, and the text that comes home for one that can't."""

from __future__ import annotations

import contextlib

MAX_ERROR_CHARACTERS = 10_000


class HandlerFailed(Exception):
    """What a handler raised elsewhere, as a text, since the exception itself could not come home.

    Args:
        told: the exception as "Type: text".
    """

    def __init__(self, told: str) -> None:
        self.told = told
        super().__init__(told)


def describe_fault(fault: BaseException) -> str:
    """An exception as "Type: text", whatever its `__str__` does."""
    if isinstance(fault, HandlerFailed):
        return fault.told
    text = ""
    with contextlib.suppress(Exception):
        text = str(fault)
    name = type(fault).__name__
    return (f"{name}: {text}" if text else name)[:MAX_ERROR_CHARACTERS]
