"""SuperAGI's own tools as backends, over the bridge: WebScraperTool and SearxSearchTool."""

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
"""After how many words WebScraperTool cuts a page off."""


class SuperAgiToolScraper:
    """Scrapes with SuperAGI's WebScraperTool, which gives the first 600 words of a page.

    Args:
        bridge: where the tool runs.
        fetcher: fetches the pages that the tool asks for.
    """

    name = "superagi_tool"

    def __init__(self, bridge: Bridge, fetcher: Fetcher) -> None:
        self._bridge = bridge
        self._fetcher = fetcher

    async def scrape(self, url: str) -> ScrapedPage:
        """Have the tool scrape a page.

        Raises:
            BackendFailed: the tool found no text, or told of a failure.
        """
        pages: list[FetchedPage] = []

        async def answer(question: ChildMessage) -> Mapping[str, object]:
            if question.ask != "page":
                raise BackendFailed(f"SuperAGI asked for a {question.ask} to scrape {url}")
            pages.append(await self._fetcher.fetch(question.url))
            return {"text": pages[-1].text}

        text = check_text(await self._bridge.call("scrape", answer, url=url), url)
        if not pages:
            raise BackendFailed(f"SuperAGI gave a text for {url} without asking for the page")
        page = await asyncio.to_thread(describe, url, pages[-1], text, backend=self.name)
        # The tool tells by its length alone that it has cut something off.
        is_cut = len(text.split(" ")) >= TOOL_WORD_LIMIT
        return page.model_copy(update={"is_shortened": page.is_shortened or is_cut})


class SuperAgiSummarizer:
    """Summarizes with SuperAGI's SearxSearchTool, over a language model or what stands in for it.

    Args:
        bridge: where the tool runs.
        model: what the tool's language model is; None has sentences of the text chosen in its
            place, and the summary says so.
    """

    name = "superagi"

    def __init__(self, bridge: Bridge, model: LanguageModel | None) -> None:
        self._bridge = bridge
        self._model = model

    async def summarize(self, wish: SummaryRequest) -> Summary:
        """Have the tool summarize a text.

        Raises:
            BackendFailed: the tool or its language model failed.
        """

        async def answer(question: ChildMessage) -> Mapping[str, object]:
            if question.ask != "completion":
                raise BackendFailed(f"SuperAGI asked for a {question.ask} to summarize")
            if self._model is None:
                return {"content": await asyncio.to_thread(choose_sentences, wish, "luhn")}
            return {"content": await self._model.complete(question.messages, question.max_tokens)}

        query = f"What does this text say, in {wish.sentences} sentences at most?"
        text = await self._bridge.call("summarize", answer, query=query, text=wish.text)
        if not text.strip():
            raise BackendFailed("SuperAGI gave an empty summary")
        return Summary(
            text=text,
            written_by=WrittenBy.LANGUAGE_MODEL if self._model else WrittenBy.EXTRACTION,
            model=self._model.model if self._model else None,
            backend=self.name,
            language=wish.language,
        )
