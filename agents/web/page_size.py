"""Shortens pages that would take long to parse, because of their text or their markup."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from itertools import islice

from lxml import etree
from typing_extensions import override

READ_WHOLE_CHARACTERS = 400_000
"""Pages up to this length are not shortened."""

MAX_ELEMENTS = 20_000
MAX_TEXT_CHARACTERS_READ = 400_000
"""How much text of a longer page is kept; its extraction takes a second or two."""

MAX_ATTRIBUTES = 200
"""How many attributes of an element are kept; the time to parse them grows with their square."""

_NAME = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
"""The names that lxml accepts for new elements; its parser accepts any."""

_WITHOUT_TEXT = ("script", "style", "noscript", "svg", "template", "iframe", "object")


def shorten_page(page: str) -> tuple[str, bool]:
    """Keep the beginning of a long page, without elements that have no text.

    Args:
        page: HTML.

    Returns:
        The shortened page, and whether some of its text was removed.
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
    """Whether an element has too many attributes."""
    crowding = _Crowding()
    with contextlib.suppress(etree.LxmlError):
        etree.fromstring(page, etree.HTMLParser(encoding="utf-8", target=crowding))
    return crowding.is_crowded


class _Crowding:
    """A parser target that only checks the number of attributes."""

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
    """Builds a page's tree with a limited number of attributes."""

    @override
    def start(self, tag: str, attributes: Mapping[str, str]) -> etree.Element:
        few = islice(attributes.items(), MAX_ATTRIBUTES)
        named = {name: value for name, value in few if _NAME.fullmatch(name)}
        return super().start(tag if _NAME.fullmatch(tag) else "span", named)


def _cut(root: etree.Element) -> bool:
    """Remove everything after the last element within the limits."""
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
