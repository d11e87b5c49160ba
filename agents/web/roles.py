"""The protocols of scrapers and summarizers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from .documents import ScrapedPage, Summary

DEFAULT_LANGUAGE = "en"


class Scraper(Protocol):
    """Scrapes pages."""

    async def scrape(self, url: str) -> ScrapedPage:
        """Fetch a page and extract its main text.

        Raises:
            MusterError: the page can't be fetched or has no text.
        """
        ...


@dataclass(frozen=True, slots=True)
class SummaryRequest:
    """A text to summarize.

    Args:
        text: the text.
        sentences: the maximum number of sentences of the summary.
        language: the text's language, a tag such as "en" or a name such as "german".
    """

    text: str
    sentences: int
    language: str = DEFAULT_LANGUAGE


class Summarizer(Protocol):
    """Summarizes texts."""

    async def summarize(self, request: SummaryRequest) -> Summary:
        """Summarize a text.

        Raises:
            MusterError: there is no summary.
        """
        ...
