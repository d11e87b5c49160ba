"""Escapes foreign text for Mermaid diagrams, and unescapes it."""

from __future__ import annotations

import html
import re

MAX_TEXT_CHARACTERS = 200
"""How many characters of a text are shown."""

_ENTITY = re.compile(r"#(\w{1,32});")
_LINE_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
# Whatever ends a statement, or begins a comment, a directive, a formula or a tag.
_SPECIAL = re.compile(
    r"""[#;<>&"`{}$\\[\]|]|%(?=%)|(?<=%)%|^(?:no)?wrap:|style|classDef""", re.IGNORECASE
)
_LARGEST_CODE_POINT = 0x10FFFF


def tidy(text: str) -> str:
    """Remove control characters but line breaks, and truncate a long text."""
    if len(text) > MAX_TEXT_CHARACTERS:
        text = text[: MAX_TEXT_CHARACTERS - 1] + "…"
    lines = (
        "".join(each if each.isprintable() else " " for each in line).strip()
        for line in text.splitlines()
    )
    return "\n".join(lines).strip()


def escape(text: str) -> str:
    """Tidy and escape a text so that Mermaid shows it literally, on one line of source."""
    lines = tidy(text).split("\n")
    return "<br/>".join(_SPECIAL.sub(_encode, line) for line in lines)


def unescape(text: str) -> str:
    """The text that Mermaid shows for a text in a diagram's source."""
    broken = "\n".join(line.strip() for line in _LINE_BREAK.sub("\n", text).split("\n"))
    return _ENTITY.sub(_decode, broken).strip()


def _encode(found: re.Match[str]) -> str:
    text = found[0]
    # Encoding the first letter is enough to keep Mermaid from recognizing a word.
    return f"#{ord(text[0])};{text[1:]}"


def _decode(found: re.Match[str]) -> str:
    name = found[1]
    if name.isascii() and name.isdecimal():
        code = int(name)
        if code > _LARGEST_CODE_POINT:
            return found[0]
        character = chr(code)
        return character if character.isprintable() else " "
    shown = html.unescape(f"&{name};")
    return found[0] if shown == f"&{name};" else shown
