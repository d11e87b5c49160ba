"""Runs SuperAGI's `WebpageExtractor` in this process, on pages from Muster's fetcher.

The extractor itself would fetch from any address and without limits. Therefore its `requests`
module is replaced by an object that returns the page from the fetcher.
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
"""How the strings start that SuperAGI's extractor returns on errors."""

_current_page: ContextVar[FetchedPage] = ContextVar("muster_current_page")


class WebpageExtractor(Protocol):
    """The used part of SuperAGI's class of this name."""

    def extract_with_bs4(self, url: str) -> str:
        """The text of a page, or an error message."""
        ...


class SuperAgiScraper:
    """Extracts the text of a page with SuperAGI's extractor, in a thread.

    The title, links and other metadata come from the embedded backend.

    Args:
        fetcher: fetches the pages.
        checkout: the folder of SuperAGI.

    Raises:
        InvalidInput: SuperAGI or one of its packages can't be imported.
    """

    name = "superagi"

    def __init__(self, fetcher: Fetcher, checkout: Path) -> None:
        self._fetcher = fetcher
        self._extractor = load_extractor(checkout)

    async def scrape(self, url: str) -> ScrapedPage:
        """Fetch a page and extract its text.

        Raises:
            BackendFailed: the extractor found no text, or returned an error.
        """
        page = await self._fetcher.fetch(url)
        return await asyncio.to_thread(self._scrape, url, page)

    def _scrape(self, url: str, page: FetchedPage) -> ScrapedPage:
        page = shorten(page)
        _current_page.set(page)
        text = check_text(self._extractor.extract_with_bs4(page.url), page.url)
        return describe(url, page, text, backend=self.name)


def check_text(text: str, url: str) -> str:
    """Check that SuperAGI returned a text and not an error message.

    Raises:
        BackendFailed: it did not.
    """
    if not text.strip():
        raise BackendFailed(f"SuperAGI found no text at {url}")
    if text.startswith(ERROR_BEGINNINGS):
        raise BackendFailed(f"SuperAGI failed at {url}: {text}")
    return text


def load_extractor(checkout: Path) -> WebpageExtractor:
    """Import SuperAGI's extractor from a checkout.

    Raises:
        InvalidInput: it can't be imported, or another package `superagi` is already imported.
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
    module.__dict__["requests"] = _CurrentPageRequests()
    return extractor


def _claim_package(checkout: Path) -> None:
    # Not by the module path: that would also make folders such as `tests` importable.
    known = sys.modules.get("superagi")
    folder = checkout / EXTRACTOR.parts[0]
    if known is not None:
        if str(folder) not in map(str, known.__path__):
            raise InvalidInput(
                f"another package called superagi is imported, from {list(known.__path__)}; "
                f"it must be the one in {HOME_VARIABLE}"
            )
        return
    package = ModuleType("superagi")
    package.__path__ = [str(folder)]
    sys.modules["superagi"] = package


@dataclass(frozen=True, slots=True)
class _Response:
    """The used part of a response of `requests`."""

    text: str
    status_code: int = 200


class _CurrentPageRequests:
    """Replaces the module `requests` in the extractor."""

    def get(self, url: str, **options: object) -> _Response:
        del options
        page = _current_page.get()
        if page.url != url:
            raise BackendFailed(f"SuperAGI requested {url} instead of {page.url}")
        return _Response(page.text)
