"""Finds values that msgpack can't encode, with their place, such as "output['rows'][3]"."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import cast

from .errors import EncodeError
from .extent import MAX_NESTING
from .task import Payload
from .values import Extension, pack
from .wording import show

_SURELY_PORTABLE = frozenset({bool, float, bytes, type(None)})
_MAX_LEVELS = MAX_NESTING - 4
"""The levels left for a payload: an assignment itself has four."""

_MAX_PLACE_CHARACTERS = 60


def explain_unportable(fields: Mapping[str, Payload]) -> str | None:
    """Describe the first value that msgpack can't encode, with its place and the reason.

    Args:
        fields: the fields of a message, by the names to show.

    Returns:
        The description; None if all values can be encoded.
    """
    # A stack instead of recursion, because values may be nested very deeply.
    to_look_at = [(name, value, 1) for name, value in reversed(list(fields.items()))]
    while to_look_at:
        place, value, depth = to_look_at.pop()
        if type(value) in _SURELY_PORTABLE:
            continue
        if depth > _MAX_LEVELS and isinstance(value, dict | list | tuple):
            return f"{_shorten(place)} is nested over {_MAX_LEVELS} levels deep, or contains itself"
        if isinstance(value, dict):
            entries = cast("dict[object, Payload]", value)
            for key in entries:
                if not _can_be_carried({key: None}):
                    return (
                        f"msgpack can't encode the key {show(key)} ({type(key).__name__}) "
                        f"at {_shorten(place)}: keys must be text, bytes, numbers, bools or None"
                    )
            to_look_at += [
                (f"{place}[{show(key)}]", item, depth + 1)
                for key, item in reversed(list(entries.items()))
            ]
        elif isinstance(value, list | tuple) and not isinstance(value, Extension):
            items = list(enumerate(cast("list[Payload]", value)))
            to_look_at += [
                (f"{place}[{index}]", item, depth + 1) for index, item in reversed(items)
            ]
        elif not _can_be_carried(value):
            return (
                f"msgpack can't encode {show(value)} ({type(value).__name__}) "
                f"at {_shorten(place)}: {_rule_for(value)}"
            )
    return None


def _can_be_carried(value: Payload) -> bool:
    try:
        pack(value)
    except EncodeError:
        return False
    return True


def _rule_for(value: Payload) -> str:
    match value:
        case int():
            return "integers must fit into 64 bits"
        case str():
            return "text must be valid Unicode, without lone surrogates"
        case datetime():
            return "give it a time zone, and a year from 1 to 9999 in UTC"
        case _:
            return "use None, bool, int, float, str, bytes, list or dict"


def _shorten(place: str) -> str:
    if len(place) <= _MAX_PLACE_CHARACTERS:
        return place
    return place[:_MAX_PLACE_CHARACTERS] + "…"
