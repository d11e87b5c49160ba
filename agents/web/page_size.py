"""Shortens pages that would take long to read: their markup, not only their text, costs time."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from itertools import islice

from lxml import etree
from typing_extensions import override

READ_WHOLE_CHARACTERS = 400_000
"""Pages of no more characters are read as they are."""

MAX_ELEMENTS = 20_000
MAX_TEXT_CHARACTERS_READ = 400_000
"""How much of a longer page is read; what takes its text out needs a second or two for it."""

MAX_ATTRIBUTES = 200
"""How many attributes of an element are read; the time to read them grows with their square."""

_NAME = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
"""The names that lxml lets us give; its parser takes any."""

_WITHOUT_TEXT = ("script", "style", "noscript", "svg", "template", "iframe", "object")


def shorten_page(page: str) -> tuple[str, bool]:
    """Take the beginning of a long page, without what holds no text.

    Args:
        page: HTML.

    Returns:
        The page to read, and whether something of its text was left out.
    """
    encoded = page.encode("utf-8", "replace")
    is_crowded = _is_crowded(encoded)
    if len(page) <= READ_WHOLE_CHARACTERS and not is_crowded:
        return page, False
    target = _FewAttributes() if is_crowded else None
    parser = etree.HTMLParser(encoding="utf-8", remove_comments=True, target=target)
    try:
        root = etree.fromstring(encoded, parser)
    except etree.LxmlError:
        root = None
    if root is None:
        return ("" if is_crowded else page[:READ_WHOLE_CHARACTERS]), True
    if len(page) <= READ_WHOLE_CHARACTERS:
        return etree.tostring(root, encoding=str, method="html"), False
    etree.strip_elements(root, *_WITHOUT_TEXT, with_tail=False)
    is_cut = _cut(root)
    return etree.tostring(root, encoding=str, method="html"), is_cut


def _is_crowded(page: bytes) -> bool:
    """Whether an element has more attributes than are read."""
    crowding = _Crowding()
    with contextlib.suppress(etree.LxmlError):
        etree.fromstring(page, etree.HTMLParser(encoding="utf-8", target=crowding))
    return crowding.is_crowded


class _Crowding:
    """Looks how many attributes elements have, and keeps nothing of them."""

    def __init__(self) -> None:
        self.is_crowded = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        del tag
        if len(attributes) > MAX_ATTRIBUTES:
            self.is_crowded = True

    def end(self, tag: str) -> None:
        pass

    def close(self) -> None:
        pass


class _FewAttributes(etree.TreeBuilder):
    """Builds a page's tree with no more attributes than are read."""

    @override
    def start(self, tag: str, attributes: Mapping[str, str]) -> etree.Element:
        few = islice(attributes.items(), MAX_ATTRIBUTES)
        named = {name: value for name, value in few if _NAME.fullmatch(name)}
        return super().start(tag if _NAME.fullmatch(tag) else "span", named)


def _cut(root: etree.Element) -> bool:
    """Remove whatever stands behind the last element that is read."""
    characters = 0
    for number, element in enumerate(root.iter(), 1):
        room = MAX_TEXT_CHARACTERS_READ - characters
        element.text = _at_most(element.text, room)
        element.tail = _at_most(element.tail, room)
        characters += len(element.text or "") + len(element.tail or "")
        if number >= MAX_ELEMENTS or characters >= MAX_TEXT_CHARACTERS_READ:
            return _remove_what_follows(element)
    return False


def _at_most(text: str | None, characters: int) -> str | None:
    return None if text is None else text[: max(characters, 0)]


def _remove_what_follows(element: etree.Element) -> bool:
    found = False
    for child in list(element):
        element.remove(child)
        found = True
    current: etree.Element | None = element
    while current is not None:
        parent = current.getparent()
        while parent is not None and (following := current.getnext()) is not None:
            parent.remove(following)
            found = True
        current = parent
    return found
