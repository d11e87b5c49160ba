"""The embedded backend of `scrape_page`, and how any backend tells what a page holds."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import trafilatura
from trafilatura.settings import Document

from ...messages import PageUnavailable
from .documents import ScrapedPage
from .fetching import FetchedPage, Fetcher
from .limits import MAX_TEXT_CHARACTERS
from .outline import Outline, read_language
from .page_size import shorten_page

MAX_DETAIL_CHARACTERS = 1_000
"""How much of a title or an author's name is kept."""


class EmbeddedScraper:
    """Takes the text out of a page with trafilatura, in a thread.

    Args:
        fetcher: fetches the pages.
    """

    name = "embedded"

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher

    async def scrape(self, url: str) -> ScrapedPage:
        """Fetch a page and take out its text and what it says of itself.

        Raises:
            PageUnavailable: it has no text; for the rest see `Fetcher.fetch`.
        """
        page = await self._fetcher.fetch(url)
        return await asyncio.to_thread(describe, url, page, backend=self.name)


def describe(url: str, page: FetchedPage, text: str | None = None, *, backend: str) -> ScrapedPage:
    """Tell what a page holds.

    Args:
        url: the address that was asked for.
        page: the page.
        text: its text, if something else than trafilatura took it out.
        backend: what takes the text out.

    Raises:
        PageUnavailable: it has no text.
    """
    if page.media_type == "text/plain":
        found = Document(text=page.text)
        outline = Outline("", page.url)
    else:
        page = shorten(page)
        found = _extract(page)
        outline = Outline(page.text, page.url)
    text = (found.text or "" if text is None else text).strip()
    if not text:
        raise PageUnavailable(f"{page.url} has no text that stands out from its frame")
    return ScrapedPage(
        url=url,
        found_at=page.url,
        title=_detail(found.title),
        author=_detail(found.author),
        date=_detail(found.date),
        text=text[:MAX_TEXT_CHARACTERS],
        is_shortened=page.is_cut or len(text) > MAX_TEXT_CHARACTERS,
        links=outline.links,
        language=outline.language or read_language(page.language),
        backend=backend,
    )


def shorten(page: FetchedPage) -> FetchedPage:
    """The page to read in place of one that would take long."""
    text, is_cut = shorten_page(page.text)
    return replace(page, text=text, is_cut=page.is_cut or is_cut)


def _extract(page: FetchedPage) -> Document:
    found = trafilatura.bare_extraction(
        page.text,
        url=page.url,
        with_metadata=True,
        include_comments=False,
        # Otherwise any number in the page that looks like a date may become its date.
        date_extraction_params={"extensive_search": False, "original_date": True},
    )
    return found if isinstance(found, Document) else Document()


def _detail(text: str | None) -> str | None:
    return (text or "").strip()[:MAX_DETAIL_CHARACTERS] or None
