"""Text that came from somewhere else, made fit to stand in a Mermaid diagram, and read again."""

from __future__ import annotations

import html
import re

MAX_TEXT_CHARACTERS = 200
"""How much of a text is shown."""

_ENTITY = re.compile(r"#(\w{1,32});")
_LINE_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
# What ends a statement, begins a comment, a directive, a formula or a tag, or is taken for one.
_SPECIAL = re.compile(
    r"""[#;<>&"`{}$\\[\]|]|%(?=%)|(?<=%)%|^(?:no)?wrap:|style|classDef""", re.IGNORECASE
)
_LARGEST_CODE_POINT = 0x10FFFF


def tidy(text: str) -> str:
    """Text without control characters, cut short if it is long; its lines stay lines."""
    if len(text) > MAX_TEXT_CHARACTERS:
        text = text[: MAX_TEXT_CHARACTERS - 1] + "…"
    lines = (
        "".join(each if each.isprintable() else " " for each in line).strip()
        for line in text.splitlines()
    )
    return "\n".join(lines).strip()


def escape(text: str) -> str:
    """Tidy text so that Mermaid shows it as it is, on one line of the diagram's source."""
    lines = tidy(text).split("\n")
    return "<br/>".join(_SPECIAL.sub(_encode, line) for line in lines)


def unescape(text: str) -> str:
    """What Mermaid shows for a text of a diagram."""
    broken = "\n".join(line.strip() for line in _LINE_BREAK.sub("\n", text).split("\n"))
    return _ENTITY.sub(_decode, broken).strip()


def _encode(found: re.Match[str]) -> str:
    text = found[0]
    # Of a word its first letter is enough: the rest is none that Mermaid knows.
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
