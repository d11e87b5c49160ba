"""Makes text from elsewhere safe to write to a terminal.

Names, ids, errors and log values may come from a peer, a file or a page. Written raw they could
move the cursor, set the clipboard, hide other text or forge lines. Every character that a terminal
does not simply show (controls, C1, bidirectional marks, unusual spaces) is written as its Python
escape.
"""

from __future__ import annotations

import re

_MAY_BE_UNSAFE = re.compile(r"[^ -~]")
"""Characters outside printable ASCII are examined further."""


def one_line(text: str, max_characters: int | None = None) -> str:
    """Put a text on one line of a terminal.

    Args:
        text: any text; runs of white space become one blank.
        max_characters: how much of it is shown, followed by "…" if it is longer; None shows all.

    Returns:
        The line, without a newline at its end.
    """
    shown = text if max_characters is None else text[:max_characters]
    line = " ".join(shown.split())
    return _escape(line) + ("…" if len(shown) < len(text) else "")


def terminal_line(text: str) -> str:
    """Escape a line that is already laid out: blanks stay, and newlines are escaped.

    Args:
        text: the line, without a newline at its end.
    """
    return _escape(text)


def terminal_lines(text: str) -> str:
    """Escape a text of several lines; its newlines stay.

    Args:
        text: the text; each part from elsewhere must already be on one line.
    """
    return "\n".join(_escape(line) for line in text.split("\n"))


def terminal_json(text: str) -> str:
    """Escape JSON so that it is safe to show and still has the same value.

    Args:
        text: JSON, on one or several lines.
    """
    return _MAY_BE_UNSAFE.sub(_escape_for_json, text)


def _escape(line: str) -> str:
    return line if line.isprintable() else _MAY_BE_UNSAFE.sub(_escape_for_people, line)


def _escape_for_people(found: re.Match[str]) -> str:
    character = found[0]
    return character if character.isprintable() else ascii(character)[1:-1]


def _escape_for_json(found: re.Match[str]) -> str:
    character = found[0]
    if character == "\n" or character.isprintable():
        return character
    pair = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{pair[start : start + 4]}" for start in range(0, len(pair), 4))
