"""Reads JSON strictly: refuses NaN, numbers too large and doubled names, and names the place."""

from __future__ import annotations

import codecs
import json
import math
import re
from typing import NoReturn, TypeAlias, cast

from pydantic import JsonValue

JsonFault: TypeAlias = json.JSONDecodeError
"""What is wrong with a JSON text (`msg`), and where (`lineno`, `colno`)."""

_MAX_NUMBER_CHARACTERS = 4_300
"""Python reads integers up to here unless it is told otherwise."""

_MAX_SHOWN_CHARACTERS = 40

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?Infinity|NaN|-?[0-9][0-9.eE+-]*|[{}\[\]:,]', re.DOTALL)


def decode_json(text: str | bytes) -> JsonValue:
    """Read a JSON text strictly.

    Args:
        text: the text; bytes are UTF-8, with or without a byte order mark.

    Raises:
        JsonFault: it is not JSON, has a number that is not finite or too large, has an object with
            the same name twice, or is nested too deeply; it names the line and column.
    """
    if isinstance(text, bytes):
        text = _decode(text)
    begins_at = len(text) - len(text.lstrip(" \t\r\n"))
    value, end = decode_json_at(text, begins_at)
    after = text[end:].lstrip(" \t\r\n")
    if after:
        raise JsonFault("there is more text after its end", text, len(text) - len(after))
    return value


def decode_json_at(text: str, position: int) -> tuple[JsonValue, int]:
    """Read the JSON value that starts at a position of a text. Returns it and where it ends.

    Raises:
        JsonFault: as with `decode_json`.
    """
    try:
        value, end = _DECODER.raw_decode(text, position)
    except JsonFault:
        raise
    except RecursionError:
        raise JsonFault("it is nested too deeply", text, position) from None
    # Of the hooks below, and of Python's own limit on digits.
    except ValueError as fault:
        found_at, reason = _locate(text, position) or (position, str(fault))
        raise JsonFault(reason, text, found_at) from None
    return cast("JsonValue", value), end


def describe_json_fault(fault: JsonFault) -> str:
    """A fault with its place, such as "line 3, column 7: NaN is not a JSON number"."""
    return f"line {fault.lineno}, column {fault.colno}: {fault.msg}"


def _decode(content: bytes) -> str:
    # Not as "utf-8-sig", whose codec Python would have to load: it may not be allowed to any more.
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        return content.decode()
    except UnicodeDecodeError as fault:
        before = content[: fault.start].decode(errors="replace")
        reason = f"the byte 0x{content[fault.start]:02x} is not UTF-8"
        raise JsonFault(reason, before, len(before)) from None


def _take_pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("an object has a name twice")
    return members


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(_not_a_number(constant))


def _read_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(_too_large(text))
    return number


def _read_integer(text: str) -> int:
    if len(text) > _MAX_NUMBER_CHARACTERS:
        raise ValueError(_too_many_digits(text))
    return int(text)


def _not_a_number(constant: str) -> str:
    return f"{constant} is not a JSON number"


def _too_large(text: str) -> str:
    return f"the number {_shorten(text)} is too large"


def _too_many_digits(text: str) -> str:
    return f"the number {_shorten(text)} has too many digits"


def _shorten(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN_CHARACTERS else f"{text[:20]}…"


_DECODER = json.JSONDecoder(
    object_pairs_hook=_take_pairs,
    parse_constant=_refuse_constant,
    parse_float=_read_float,
    parse_int=_read_integer,
)


def _locate(text: str, position: int) -> tuple[int, str] | None:
    """Where in a text, and why, a hook refused it; the decoder's hooks are not told the place."""
    # For each open bracket, the names of its object so far; None for a list.
    open_names: list[set[str] | None] = []
    may_be_name = False
    for token in _TOKEN.finditer(text, position):
        found = token.group()
        if found == "{":
            open_names.append(set())
        elif found == "[":
            open_names.append(None)
        elif found in "}]" and open_names:
            open_names.pop()
        elif found.endswith(("NaN", "Infinity")):
            return token.start(), _not_a_number(found)
        elif found[0] in "-0123456789":
            if found.lstrip("-").isdigit():
                if len(found) > _MAX_NUMBER_CHARACTERS:
                    return token.start(), _too_many_digits(found)
            elif math.isinf(_float_in(found)):
                return token.start(), _too_large(found)
        elif found[0] == '"' and may_be_name and open_names and open_names[-1] is not None:
            name = json.loads(found, strict=False)
            if name in open_names[-1]:
                return token.start(), f"an object has the name {name!r} twice"
            open_names[-1].add(name)
        may_be_name = found in "{,"
    return None


def _float_in(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
