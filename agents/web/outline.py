"""Reads a page's links and language, which trafilatura does not return."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import urldefrag, urljoin, urlsplit

from lxml import etree

MAX_LINKS = 500
MAX_LINK_CHARACTERS = 2_000
MAX_LANGUAGE_CHARACTERS = 35
"""The length of a language tag to expect, by RFC 5646."""


class Outline:
    """The links and the language of a page.

    Args:
        html: the page.
        url: the page's URL, the base of relative links.
    """

    def __init__(self, html: str, url: str) -> None:
        self._base = url
        self._links: dict[str, None] = {}
        self.language: str | None = None
        for element in _elements(html):
            self._take(str(element.tag), element.attrib)

    @property
    def links(self) -> list[str]:
        """The linked http and https URLs, without duplicates, in page order; at most 500."""
        return list(self._links)

    def _take(self, tag: str, values: Mapping[str, str]) -> None:
        match tag:
            case "html":
                self._take_language(values.get("lang") or values.get("xml:lang"))
            case "meta" if values.get("http-equiv", "").lower() == "content-language":
                self._take_language(values.get("content"))
            case "base" if href := values.get("href"):
                self._base = _joined(self._base, href) or self._base
            case "a" | "area" if href := values.get("href"):
                self._take_link(href)
            case _:
                pass

    def _take_language(self, tag: str | None) -> None:
        if self.language is None:
            self.language = read_language(tag)

    def _take_link(self, href: str) -> None:
        if len(self._links) < MAX_LINKS and (link := _joined(self._base, href)):
            self._links[link] = None


def _elements(html: str) -> Iterable[etree.Element]:
    # Not Python's own parser, which takes minutes for a few kilobytes of broken markup.
    try:
        tree = etree.fromstring(html.encode("utf-8", "replace"), etree.HTMLParser(encoding="utf-8"))
    except etree.LxmlError:
        return ()
    return () if tree is None else tree.iter("html", "meta", "base", "a", "area")


def read_language(tag: str | None) -> str | None:
    """The first language of a tag or a list of them, such as "de-AT, en"; None if there is none."""
    first = (tag or "").split(",")[0].strip()
    is_tag = first.replace("-", "").isalnum() and first.isascii()
    return first if is_tag and len(first) <= MAX_LANGUAGE_CHARACTERS else None


def _joined(base: str, href: str) -> str | None:
    try:
        parts = urlsplit(urldefrag(urljoin(base, href.strip())).url)
        link = parts.geturl()
        is_page = parts.scheme in {"http", "https"}
    except ValueError:
        return None
    return link if is_page and len(link) <= MAX_LINK_CHARACTERS else None
