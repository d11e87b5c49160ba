"""Turns a page's bytes into text, by what the server says, what the page says, or what fits."""

from __future__ import annotations

import codecs
import re

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DECLARED = re.compile(
    rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([a-zA-Z0-9_:.-]{1,40})""", re.IGNORECASE
)
_DECLARED_WITHIN_BYTES = 1024
_LATIN_1 = {"iso8859-1", "ascii"}
"""Whoever names these mostly means Windows' superset of them; browsers take it so."""


def decode_page(body: bytes, told: str | None) -> str:
    """Decode a page; characters that can't be read become U+FFFD.

    Args:
        body: the page.
        told: the charset that the server named, if any.
    """
    for mark, charset in _BYTE_ORDER_MARKS:
        if body.startswith(mark):
            return body.decode(charset, "replace")
    declared = _DECLARED.search(body[:_DECLARED_WITHIN_BYTES])
    for name in (told, declared[1].decode("ascii") if declared else None):
        if name and (text := _decode_as(name, body)) is not None:
            return text
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body.decode("cp1252", "replace")


def _decode_as(name: str, body: bytes) -> str | None:
    try:
        charset = codecs.lookup(name.strip().strip("\"'")).name
        return body.decode("cp1252" if charset in _LATIN_1 else charset, "replace")
    except (LookupError, ValueError):
        # Python also knows codecs that are no charsets, such as "zip", and says so here.
        return None
