"""SuperAGI's WebScraperTool and SearxSearchTool as backends, over the bridge."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from ....messages import BackendFailed
from ..documents import ScrapedPage, Summary, WrittenBy
from ..extraction import choose_sentences
from ..fetching import FetchedPage, Fetcher
from ..language_model import LanguageModel
from ..page_reading import describe
from ..roles import SummaryRequest
from .bridge import Bridge, ChildMessage
from .extractor import check_text

TOOL_WORD_LIMIT = 600
"""The number of words after which WebScraperTool truncates a page."""


class SuperAgiToolScraper:
    """Scrapes with SuperAGI's WebScraperTool, which returns the first 600 words of a page.

    Args:
        bridge: runs the tool.
        fetcher: fetches the pages that the tool requests.
    """

    name = "superagi_tool"

    def __init__(self, bridge: Bridge, fetcher: Fetcher) -> None:
        self._bridge = bridge
        self._fetcher = fetcher

    async def scrape(self, url: str) -> ScrapedPage:
        """Scrape a page with the tool.

        Raises:
            BackendFailed: the tool found no text, or returned an error.
        """
        pages: list[FetchedPage] = []

        async def handle(request: ChildMessage) -> Mapping[str, object]:
            if request.ask != "page":
                raise BackendFailed(f"SuperAGI requested a {request.ask} to scrape {url}")
            pages.append(await self._fetcher.fetch(request.url))
            return {"text": pages[-1].text}

        text = check_text(await self._bridge.call("scrape", handle, url=url), url)
        if not pages:
            raise BackendFailed(f"SuperAGI returned a text for {url} without requesting the page")
        page = await asyncio.to_thread(describe, url, pages[-1], text, backend=self.name)
        # Only the length shows that the tool has truncated the text.
        is_cut = len(text.split(" ")) >= TOOL_WORD_LIMIT
        return page.model_copy(update={"is_shortened": page.is_shortened or is_cut})


class SuperAgiSummarizer:
    """Summarizes with SuperAGI's SearxSearchTool and a language model.

    Args:
        bridge: runs the tool.
        model: the tool's language model. None chooses sentences from the text instead, and the
            summary says so.
    """

    name = "superagi"

    def __init__(self, bridge: Bridge, model: LanguageModel | None) -> None:
        self._bridge = bridge
        self._model = model

    async def summarize(self, request: SummaryRequest) -> Summary:
        """Summarize a text with the tool.

        Raises:
            BackendFailed: the tool or its language model failed.
        """

        async def handle(message: ChildMessage) -> Mapping[str, object]:
            if message.ask != "completion":
                raise BackendFailed(f"SuperAGI requested a {message.ask} to summarize")
            if self._model is None:
                return {"content": await asyncio.to_thread(choose_sentences, request, "luhn")}
            return {"content": await self._model.complete(message.messages, message.max_tokens)}

        query = f"What does this text say, in {request.sentences} sentences at most?"
        text = await self._bridge.call("summarize", handle, query=query, text=request.text)
        if not text.strip():
            raise BackendFailed("SuperAGI returned an empty summary")
        return Summary(
            text=text,
            written_by=WrittenBy.LANGUAGE_MODEL if self._model else WrittenBy.EXTRACTION,
            model=self._model.model if self._model else None,
            backend=self.name,
            language=request.language,
        )
