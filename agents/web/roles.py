"""What a scraper and a summarizer are, for those who write one of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from .documents import ScrapedPage, Summary

DEFAULT_LANGUAGE = "en"


class Scraper(Protocol):
    """Scrapes pages."""

    async def scrape(self, url: str) -> ScrapedPage:
        """Fetch a page and take out what is worth reading.

        Raises:
            MusterError: the page can't be had, or nothing can be made of it.
        """
        ...


@dataclass(frozen=True, slots=True)
class SummaryRequest:
    """What is to be summarized.

    Args:
        text: the text.
        sentences: how many sentences the summary may have.
        language: the text's language, a tag such as "en" or a name such as "german".
    """

    text: str
    sentences: int
    language: str = DEFAULT_LANGUAGE


class Summarizer(Protocol):
    """Summarizes texts."""

    async def summarize(self, wish: SummaryRequest) -> Summary:
        """Summarize a text.

        Raises:
            MusterError: it could not be done.
        """
        ...
