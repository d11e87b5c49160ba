"""The embedded backend of `scrape_page`, and what all backends use to build their result."""

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
"""The maximum length of a title or an author's name."""


class EmbeddedScraper:
    """Extracts the text of a page with trafilatura, in a thread.

    Args:
        fetcher: fetches the pages.
    """

    name = "embedded"

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher

    async def scrape(self, url: str) -> ScrapedPage:
        """Fetch a page and extract its text and metadata.

        Raises:
            PageUnavailable: it has no text. For other errors see `Fetcher.fetch`.
        """
        page = await self._fetcher.fetch(url)
        return await asyncio.to_thread(describe, url, page, backend=self.name)


def describe(url: str, page: FetchedPage, text: str | None = None, *, backend: str) -> ScrapedPage:
    """Build the result for a fetched page.

    Args:
        url: the requested URL.
        page: the page.
        text: its text, if not extracted by trafilatura.
        backend: the name of the backend that extracts the text.

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
        raise PageUnavailable(f"{page.url} has no main text")
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
    """Shorten a page that would take long to parse."""
    text, is_cut = shorten_page(page.text)
    return replace(page, text=text, is_cut=page.is_cut or is_cut)


def _extract(page: FetchedPage) -> Document:
    found = trafilatura.bare_extraction(
        page.text,
        url=page.url,
        with_metadata=True,
        include_comments=False,
        # An extensive search takes any number that looks like a date.
        date_extraction_params={"extensive_search": False, "original_date": True},
    )
    return found if isinstance(found, Document) else Document()


def _detail(text: str | None) -> str | None:
    return (text or "").strip()[:MAX_DETAIL_CHARACTERS] or None
