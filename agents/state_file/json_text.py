"""Reads and writes the JSON text of state files strictly, and splits objects without parsing them.

A member that can't be parsed, such as a number that is too large, is found and kept unchanged.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import NamedTuple, cast

from pydantic import JsonValue

from ..runtime.strict_json import JsonFault, decode_json, describe_json_fault
from .table import TaskEntry

MAX_DEPTH = 200
"""How deep lists and objects may be nested; Python can't always parse what is deeper."""

_STRING = r'"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*"'
# Many programs write words that are not JSON, Python's json module among them.
_WORD = r"true|false|null|NaN|-?Infinity"
_NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_LEXEME = re.compile(rf"[ \t\n\r]*(?:({_STRING})|({_WORD}|{_NUMBER})|([{{}}\[\],:])|(\Z))")

_BRACKETS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[{]|[\]}]', re.DOTALL)


class InvalidStateDocument(ValueError):
    """The content is not a valid state document, or not a valid part of one."""


class Member(NamedTuple):
    """A member of an object.

    Args:
        name: its name, as JSON text.
        value: its value, as JSON text on one line.
    """

    name: str
    value: str


class _Next(Enum):
    VALUE = auto()
    VALUE_OR_END = auto()
    NAME = auto()
    NAME_OR_END = auto()
    COLON = auto()
    COMMA_OR_END = auto()
    NOTHING = auto()


def split_members(text: str) -> list[Member]:
    """Split the text of an object into its members; only white space changes.

    Args:
        text: the text of one object.

    Returns:
        Its members in order; a name may occur twice.

    Raises:
        ValueError: it is not the text of one object.
    """
    members: list[Member] = []
    closers: list[str] = []
    name, value = "", list[str]()
    following = _Next.VALUE
    for lexeme in _lexemes(text):
        if following is _Next.NOTHING or (not closers and lexeme != "{"):
            raise ValueError("it is not exactly one object")
        before = len(closers)
        following = _follow(following, lexeme, closers)
        if not closers:
            if name:
                members.append(Member(name, "".join(value)))
        elif before > 1 or len(closers) > 1:
            value.append(_SPACED.get(lexeme, lexeme))
        elif following is _Next.COLON:
            name, value = lexeme, []
        elif lexeme == ",":
            members.append(Member(name, "".join(value)))
            name = ""
        elif before and lexeme != ":":
            value.append(lexeme)
    if following is not _Next.NOTHING:
        raise ValueError("it is incomplete")
    return members


def find_depth(line: bytes) -> int:
    """How deep the lists and objects in a JSON text are nested."""
    depth = deepest = 0
    for found in _BRACKETS.findall(line):
        if found in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif found in b"]}":
            depth -= 1
    return deepest


_SPACED = {",": ", ", ":": ": "}


def _lexemes(text: str) -> Iterator[str]:
    at = 0
    while True:
        found = _LEXEME.match(text, at)
        if found is None:
            raise ValueError(f"it is not JSON from character {at} on")
        at = found.end()
        lexeme = found.group(1) or found.group(2) or found.group(3)
        if not lexeme:
            return
        yield lexeme


def _follow(expected: _Next, lexeme: str, closers: list[str]) -> _Next:
    """The lexemes that may follow a lexeme; updates the list of open brackets."""
    is_string = lexeme[0] == '"'
    match expected:
        case _Next.COLON if lexeme == ":":
            return _Next.VALUE
        case _Next.COMMA_OR_END if lexeme == ",":
            return _Next.NAME if closers[-1] == "}" else _Next.VALUE
        case _Next.NAME | _Next.NAME_OR_END if is_string:
            return _Next.COLON
        case _Next.COMMA_OR_END | _Next.NAME_OR_END | _Next.VALUE_OR_END if (
            closers and lexeme == closers[-1]
        ):
            closers.pop()
            return _Next.COMMA_OR_END if closers else _Next.NOTHING
        case _Next.VALUE | _Next.VALUE_OR_END if lexeme == "{":
            closers.append("}")
            return _Next.NAME_OR_END
        case _Next.VALUE | _Next.VALUE_OR_END if lexeme == "[":
            closers.append("]")
            return _Next.VALUE_OR_END
        case _Next.VALUE | _Next.VALUE_OR_END if lexeme not in {"}", "]", ",", ":"}:
            return _Next.COMMA_OR_END
        case _:
            raise ValueError(f"{lexeme[:20]} is not allowed here")


def encode_json(value: JsonValue) -> bytes:
    """Encode a value as JSON text.

    Raises:
        InvalidStateDocument: JSON can't carry the value.
    """
    # ASCII is valid UTF-8, and lone surrogates, which UTF-8 forbids, are escaped.
    try:
        return json.dumps(value, allow_nan=False).encode("ascii")
    except RecursionError:
        raise InvalidStateDocument("it is nested too deeply") from None
    except ValueError as fault:
        raise InvalidStateDocument(f"it has a value that JSON can't carry: {fault}") from None


def check_depth(line: bytes) -> None:
    """Check that a JSON text is not nested too deeply to be read everywhere.

    Raises:
        InvalidStateDocument: it has more than 200 levels.
    """
    # Counting the brackets is fast, and nearly always enough.
    if line.count(b"{") + line.count(b"[") > MAX_DEPTH and find_depth(line) > MAX_DEPTH:
        raise InvalidStateDocument(f"it is nested too deeply: over {MAX_DEPTH} levels")


def parse_object(text: str | bytes) -> TaskEntry:
    """Parse a JSON text that is an object if it is valid.

    Raises:
        InvalidStateDocument: it is not JSON, or has a value that can't be written again.
    """
    return cast("TaskEntry", parse_json(text))


def parse_json(content: str | bytes, what: str = "it") -> JsonValue:
    """Parse a JSON text strictly: without NaN, infinite numbers and duplicate names.

    Args:
        content: the text.
        what: what the text is called in error messages.

    Raises:
        InvalidStateDocument: it is not JSON, or has a value that can't be written again.
    """
    try:
        return decode_json(content)
    except JsonFault as fault:
        raise InvalidStateDocument(f"{what} is not JSON: {describe_json_fault(fault)}") from None


def describe_kind(value: JsonValue) -> str:
    """The kind of a JSON value in words, such as "a list", for error messages."""
    match value:
        case None:
            return "missing"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "an object"
