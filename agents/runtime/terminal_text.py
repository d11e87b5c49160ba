"""Makes text from elsewhere safe to write to a terminal.

Names, ids, errors and log values may come from a peer, a file or a page. Written raw they could
move the cursor, set the clipboard, hide other text or forge lines. Every character that a terminal
does not simply show (controls, C1, bidirectional marks, unusual spaces) is written as its Python
escape. What the encoding of a stream lacks is written in an ASCII form.
"""

from __future__ import annotations

import codecs
import re
import sys
import unicodedata

_MAY_BE_UNSAFE = re.compile(r"[^ -~]")
"""Characters outside printable ASCII are examined further."""

_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


ASCII_FORMS = "muster.ascii_forms"
"""The name of the error handler with which a stream writes what its encoding lacks as ASCII."""

_ASCII_FORMS = {
    "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{RIGHTWARDS ARROW}": "->",
    "\N{LEFTWARDS ARROW}": "<-",
    "\N{PLUS-MINUS SIGN}": "+-",
    "\N{MULTIPLICATION SIGN}": "x",
    "\N{GREATER-THAN OR EQUAL TO}": ">=",
    "\N{LESS-THAN OR EQUAL TO}": "<=",
    "\N{MIDDLE DOT}": "-",
    "\N{BULLET}": "*",
    "\N{BOX DRAWINGS LIGHT HORIZONTAL}": "-",
    "\N{BOX DRAWINGS HEAVY HORIZONTAL}": "-",
    "\N{BOX DRAWINGS LIGHT VERTICAL}": "|",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": '"',
    "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
}


def _to_ascii_forms(fault: UnicodeError) -> tuple[str, int]:
    if not isinstance(fault, UnicodeEncodeError):
        raise fault
    return "".join(map(_ascii_form, fault.object[fault.start : fault.end])), fault.end


def _ascii_form(character: str) -> str:
    """A known form of a character, or its letter without accents, or "?"."""
    letter = unicodedata.normalize("NFKD", character)[0]
    return _ASCII_FORMS.get(character) or (letter if letter.isascii() else "?")


codecs.register_error(ASCII_FORMS, _to_ascii_forms)


def print_text(text: str) -> None:
    """Write a text and a newline to stdout, whatever its encoding."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, ASCII_FORMS).decode(encoding) + "\n")


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


def terminal_json(text: str, encoding: str = "utf-8") -> str:
    """Escape JSON so that it is safe to show and still has the same value.

    Args:
        text: JSON, on one or several lines.
        encoding: of the stream; if it lacks a character, all that is not ASCII is escaped.
    """
    escaped = _MAY_BE_UNSAFE.sub(_escape_for_json, text)
    try:
        escaped.encode(encoding)
    except UnicodeEncodeError:
        return _NOT_ASCII.sub(_in_utf_16, escaped)
    return escaped


def _escape(line: str) -> str:
    return line if line.isprintable() else _MAY_BE_UNSAFE.sub(_escape_for_people, line)


def _escape_for_people(found: re.Match[str]) -> str:
    character = found[0]
    return character if character.isprintable() else ascii(character)[1:-1]


def _escape_for_json(found: re.Match[str]) -> str:
    character = found[0]
    if character == "\n" or character.isprintable():
        return character
    return _in_utf_16(found)


def _in_utf_16(found: re.Match[str]) -> str:
    pair = found[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{pair[start : start + 4]}" for start in range(0, len(pair), 4))
