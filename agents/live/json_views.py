"""Payloads as the HTTP API shows them: as JSON, unless that would take long."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from pydantic import JsonValue

from ...messages import Payload
from ..report.json_value import to_json_value

MAX_CHARACTERS = 256 * 1024
"""Up to about which length, as JSON, a payload is shown."""

_PER_VALUE = 8


def view_payload(value: Payload) -> JsonValue:
    """A payload as JSON, or a note in its place if it is too large."""
    if _is_short(value):
        return to_json_value(value)
    return f"(more than {MAX_CHARACTERS // 1024} KiB as JSON, which is not shown here)"


def _is_short(value: object) -> bool:
    left = MAX_CHARACTERS
    unseen: list[object] = [value]
    while unseen and left >= 0:
        seen = unseen.pop()
        left -= _PER_VALUE
        match seen:
            case str() | bytes() | bytearray():
                left -= len(seen)
            case dict():
                held = cast("dict[object, object]", seen)
                left -= _PER_VALUE * len(held)
                if left >= 0:
                    unseen += held.keys()
                    unseen += held.values()
            case list() | tuple():
                items = cast("Iterable[object]", seen)
                left -= len(cast("list[object]", seen))
                if left >= 0:
                    unseen += items
            case _:
                pass
    return left >= 0
