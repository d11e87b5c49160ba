"""SuperAGI's `WebpageExtractor` in this process, on pages that our fetcher fetched.

The extractor would fetch by itself, from anywhere and without an end. So it is given something in
place of `requests` that hands it the page which was fetched with all precautions.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Protocol, cast

from ....messages import BackendFailed, InvalidInput
from ..documents import ScrapedPage
from ..fetching import FetchedPage, Fetcher
from ..page_reading import describe, shorten
from .locations import EXTRACTOR, HOME_VARIABLE

MODULE = "superagi.helper.webpage_extractor"
ERROR_BEGINNINGS = ("Error: 404.", "Error while extracting", "Error while making the request")
"""How SuperAGI's extractor begins the strings by which it tells of failures."""

_page_at_hand: ContextVar[FetchedPage] = ContextVar("muster_page_at_hand")


class WebpageExtractor(Protocol):
    """What is used of SuperAGI's class of this name."""

    def extract_with_bs4(self, url: str) -> str:
        """The text of a page, or a string that tells of a failure."""
        ...


class SuperAgiScraper:
    """Takes the text out of a page with SuperAGI's extractor, in a thread.

    What the extractor leaves out, such as title and links, is read as by the embedded backend.

    Args:
        fetcher: fetches the pages.
        checkout: SuperAGI.

    Raises:
        InvalidInput: SuperAGI or one of its packages can't be imported.
    """

    name = "superagi"

    def __init__(self, fetcher: Fetcher, checkout: Path) -> None:
        self._fetcher = fetcher
        self._extractor = load_extractor(checkout)

    async def scrape(self, url: str) -> ScrapedPage:
        """Fetch a page and take out its text.

        Raises:
            BackendFailed: the extractor found no text, or told of a failure.
        """
        page = await self._fetcher.fetch(url)
        return await asyncio.to_thread(self._scrape, url, page)

    def _scrape(self, url: str, page: FetchedPage) -> ScrapedPage:
        page = shorten(page)
        _page_at_hand.set(page)
        text = check_text(self._extractor.extract_with_bs4(page.url), page.url)
        return describe(url, page, text, backend=self.name)


def check_text(text: str, url: str) -> str:
    """See that what SuperAGI gave is a text and not the tale of a failure.

    Raises:
        BackendFailed: it is not.
    """
    if not text.strip():
        raise BackendFailed(f"SuperAGI found no text at {url}")
    if text.startswith(ERROR_BEGINNINGS):
        raise BackendFailed(f"SuperAGI failed at {url}: {text}")
    return text


def load_extractor(checkout: Path) -> WebpageExtractor:
    """Import SuperAGI's extractor from a checkout.

    Raises:
        InvalidInput: it can't be imported, or another `superagi` was imported before.
    """
    _claim_package(checkout)
    try:
        module = importlib.import_module(MODULE)
        extractor = cast("WebpageExtractor", module.WebpageExtractor())
    except ImportError as fault:
        raise InvalidInput(
            f"SuperAGI's extractor in {HOME_VARIABLE} can't be imported: {fault}; "
            "run: pip install 'ceylon-muster[superagi]'"
        ) from None
    module.__dict__["requests"] = _PageInPlaceOfRequests()
    return extractor


def _claim_package(checkout: Path) -> None:
    # Not by the module path: the checkout has folders like `tests` that would come with it.
    known = sys.modules.get("superagi")
    folder = checkout / EXTRACTOR.parts[0]
    if known is not None:
        if str(folder) not in map(str, known.__path__):
            raise InvalidInput(
                f"another package called superagi is loaded, from {list(known.__path__)}; "
                f"only one from {HOME_VARIABLE} will do"
            )
        return
    package = ModuleType("superagi")
    package.__path__ = [str(folder)]
    sys.modules["superagi"] = package


@dataclass(frozen=True, slots=True)
class _Response:
    """What the extractor reads of a response."""

    text: str
    status_code: int = 200


class _PageInPlaceOfRequests:
    """Stands where the extractor looks for `requests`."""

    def get(self, url: str, **options: object) -> _Response:
        del options
        page = _page_at_hand.get()
        if page.url != url:
            raise BackendFailed(f"SuperAGI asked for {url} in place of {page.url}")
        return _Response(page.text)
