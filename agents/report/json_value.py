"""Converts payloads to strict JSON, which every JSON reader accepts."""

from __future__ import annotations

import base64
import contextlib
import math
from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from typing import cast

from pydantic import JsonValue

from ...messages import EncodeError, Payload
from ...messages.plain_data import to_plain

MAX_DEPTH = 64
"""How deeply lists and dicts may be nested; deeper values are replaced by a note."""


def to_json_value(value: Payload) -> JsonValue:
    """Convert a payload to a value of strict JSON.

    Bytes become `{"$base64": "..."}`, datetimes ISO 8601 text, and the numbers that JSON lacks the
    texts "NaN", "Infinity" and "-Infinity". Keys become texts. If two keys of a dict would become
    the same text, the dict becomes `{"$items": [[key, value], ...]}`.

    Args:
        value: any value; what has no plain form becomes its `repr`.
    """
    return _convert(value, MAX_DEPTH)


def _convert(value: object, depth: int) -> JsonValue:
    converted: JsonValue
    match value:
        case Enum():
            converted = _convert(value.value, depth)
        case str():
            converted = _well_formed(value)
        case None | bool():
            converted = value
        case int():
            converted = int(value)
        case float():
            converted = float(value) if math.isfinite(value) else _number_that_json_lacks(value)
        case bytes() | bytearray():
            converted = {"$base64": base64.b64encode(value).decode("ascii")}
        case datetime():
            converted = value.isoformat()
        case list() | tuple() | dict() if depth == 0:
            converted = f"(nested deeper than {MAX_DEPTH})"
        case list() | tuple():
            items = cast("Sequence[object]", value)
            converted = [_convert(item, depth - 1) for item in items]
        case dict():
            converted = _convert_dict(cast("dict[object, object]", value), depth - 1)
        case _:
            converted = _convert_object(value, depth)
    return converted


def _convert_object(value: object, depth: int) -> JsonValue:
    try:
        plain = to_plain(value)
    except EncodeError:
        return _well_formed(repr(value))
    return _convert(plain, depth)


def _convert_dict(value: dict[object, object], depth: int) -> JsonValue:
    named = {_name(key): _convert(item, depth) for key, item in value.items()}
    if len(named) == len(value):
        return named
    return {
        "$items": [[_convert(key, depth), _convert(item, depth)] for key, item in value.items()]
    }


def _name(key: object) -> str:
    if not isinstance(key, str | int | float | bytes | datetime | None) or isinstance(key, Enum):
        with contextlib.suppress(EncodeError):
            # As in an encoded dict, where a key has its plain form too.
            key = to_plain(key)
    return _well_formed(key if isinstance(key, str) else str(key))


def _number_that_json_lacks(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _well_formed(text: str) -> str:
    # Half of a surrogate pair is not a character, and UTF-8 can't encode it.
    return text.encode(errors="backslashreplace").decode()
