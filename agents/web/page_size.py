"""Shortens pages that would take long to read: their markup, not only their text, costs time."""

from __future__ import annotations

from lxml import etree

READ_WHOLE_CHARACTERS = 400_000
"""Pages of no more characters are read as they are."""

MAX_ELEMENTS = 20_000
MAX_TEXT_CHARACTERS_READ = 400_000
"""How much of a longer page is read; what takes its text out needs a second or two for it."""

_WITHOUT_TEXT = ("script", "style", "noscript", "svg", "template", "iframe", "object")


def shorten_page(page: str) -> tuple[str, bool]:
    """Take the beginning of a long page, without what holds no text.

    Args:
        page: HTML.

    Returns:
        The page to read, and whether something of its text was left out.
    """
    if len(page) <= READ_WHOLE_CHARACTERS:
        return page, False
    parser = etree.HTMLParser(encoding="utf-8", remove_comments=True)
    try:
        root = etree.fromstring(page.encode("utf-8", "replace"), parser)
    except etree.LxmlError:
        root = None
    if root is None:
        return page[:READ_WHOLE_CHARACTERS], True
    etree.strip_elements(root, *_WITHOUT_TEXT, with_tail=False)
    is_cut = _cut(root)
    return etree.tostring(root, encoding=str, method="html"), is_cut


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
