"""Cuts a JSON object's text into its members without reading their values.

So a member that can't be read, such as one with a number too large, one nested a thousand levels
deep or one with a name that stands twice, is found beside the others and kept as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import NamedTuple

_STRING = r'"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*"'
# The words that JSON lacks are written by many programs, Python's own among them.
_WORD = r"true|false|null|NaN|-?Infinity"
_NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_SIGN = re.compile(rf"[ \t\n\r]*(?:({_STRING})|({_WORD}|{_NUMBER})|([{{}}\[\],:])|(\Z))")

_BRACKETS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[{]|[\]}]', re.DOTALL)


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
    """Cut an object's text into its members, each as it stands but for white space.

    Args:
        text: the text of one object.

    Returns:
        Its members in order; names may stand there twice.

    Raises:
        ValueError: it is not the text of one object.
    """
    members: list[Member] = []
    closers: list[str] = []
    name, value = "", list[str]()
    following = _Next.VALUE
    for sign in _signs(text):
        if following is _Next.NOTHING or (not closers and sign != "{"):
            raise ValueError("it is not one object")
        before = len(closers)
        following = _follow(following, sign, closers)
        if not closers:
            if name:
                members.append(Member(name, "".join(value)))
        elif before > 1 or len(closers) > 1:
            value.append(_SPACED.get(sign, sign))
        elif following is _Next.COLON:
            name, value = sign, []
        elif sign == ",":
            members.append(Member(name, "".join(value)))
            name = ""
        elif before and sign != ":":
            value.append(sign)
    if following is not _Next.NOTHING:
        raise ValueError("it ends too early")
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


def _signs(text: str) -> Iterator[str]:
    at = 0
    while True:
        found = _SIGN.match(text, at)
        if found is None:
            raise ValueError(f"what stands at character {at} is not JSON")
        at = found.end()
        sign = found.group(1) or found.group(2) or found.group(3)
        if not sign:
            return
        yield sign


def _follow(expected: _Next, sign: str, closers: list[str]) -> _Next:
    """What may come after a sign; keeps what must be closed yet."""
    is_string = sign[0] == '"'
    match expected:
        case _Next.COLON if sign == ":":
            return _Next.VALUE
        case _Next.COMMA_OR_END if sign == ",":
            return _Next.NAME if closers[-1] == "}" else _Next.VALUE
        case _Next.NAME | _Next.NAME_OR_END if is_string:
            return _Next.COLON
        case _Next.COMMA_OR_END | _Next.NAME_OR_END | _Next.VALUE_OR_END if (
            closers and sign == closers[-1]
        ):
            closers.pop()
            return _Next.COMMA_OR_END if closers else _Next.NOTHING
        case _Next.VALUE | _Next.VALUE_OR_END if sign == "{":
            closers.append("}")
            return _Next.NAME_OR_END
        case _Next.VALUE | _Next.VALUE_OR_END if sign == "[":
            closers.append("]")
            return _Next.VALUE_OR_END
        case _Next.VALUE | _Next.VALUE_OR_END if sign not in {"}", "]", ",", ":"}:
            return _Next.COMMA_OR_END
        case _:
            raise ValueError(f"{sign[:20]} stands where it can't")
