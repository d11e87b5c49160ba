"""Search engines: their protocol, and two engines that need no key."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import Mapping, Sequence
from typing import Protocol, TypedDict, TypeVar

from pydantic import BaseModel, ValidationError

from ...messages import SearchFailed
from ...messages.wording import summarize
from .arguments import check_count
from .web_requests import REQUEST_FAULTS, check_url, open_client, request, show_url

MAX_ANSWER_BYTES = 2_000_000
"""The maximum size of an engine's response."""

SEARCH_TIMEOUT_S = 20.0
"""The timeout of one query, in seconds."""

_USER_AGENT = "ceylon-muster (a task manager; batch_web_search)"
_TAG = re.compile(r"<[^>]*>")


class SearchHit(TypedDict):
    """One search result."""

    title: str
    url: str
    snippet: str


class SearchEngine(Protocol):
    """Runs queries; an exception becomes the error of its query."""

    @property
    def name(self) -> str:
        """Its name in reports."""
        ...

    async def search(self, query: str) -> Sequence[SearchHit]:
        """The hits for a query, the best first."""
        ...


class _EngineAtUrl:
    def __init__(self, base_url: str, max_hits: int = 10) -> None:
        check_url(base_url)
        check_count("max_hits", max_hits)
        self._base_url = base_url.rstrip("/")
        self._max_hits = max_hits


class WikipediaEngine(_EngineAtUrl):
    """Searches the articles of a Wikipedia; it needs no key and no account.

    Args:
        base_url: the URL of the Wikipedia.
        max_hits: the maximum number of hits, 1 or more.

    Raises:
        InvalidInput: an argument is out of range.
    """

    name = "wikipedia"

    def __init__(self, base_url: str = "https://en.wikipedia.org", max_hits: int = 10) -> None:
        super().__init__(base_url, max_hits)

    async def search(self, query: str) -> Sequence[SearchHit]:
        """Find articles.

        Raises:
            SearchFailed: there was no usable response.
        """
        parameters = {
            "action": "query",
            "list": "search",
            "srsearch": query,
            "srlimit": str(self._max_hits),
            "format": "json",
            "formatversion": "2",
        }
        answer = await _query(f"{self._base_url}/w/api.php", parameters, _WikipediaAnswer)
        return [
            SearchHit(
                title=hit.title,
                url=f"{self._base_url}/?curid={hit.pageid}",
                snippet=html.unescape(_TAG.sub("", hit.snippet)),
            )
            for hit in answer.query.search[: self._max_hits]
        ]


class SearxngEngine(_EngineAtUrl):
    """Searches the web through a SearXNG server, such as your own.

    Its settings must allow the format `json`.

    Args:
        base_url: the URL of the server.
        max_hits: the maximum number of hits, 1 or more.

    Raises:
        InvalidInput: an argument is out of range.
    """

    name = "searxng"

    async def search(self, query: str) -> Sequence[SearchHit]:
        """Find pages.

        Raises:
            SearchFailed: there was no usable response.
        """
        parameters = {"q": query, "format": "json"}
        answer = await _query(f"{self._base_url}/search", parameters, _SearxngAnswer)
        return [
            SearchHit(title=hit.title, url=hit.url, snippet=hit.content or "")
            for hit in answer.results[: self._max_hits]
        ]


class _WikipediaHit(BaseModel):
    title: str
    pageid: int
    snippet: str = ""


class _WikipediaHits(BaseModel):
    search: list[_WikipediaHit]


class _WikipediaAnswer(BaseModel):
    query: _WikipediaHits


class _SearxngHit(BaseModel):
    title: str = ""
    url: str
    content: str | None = None


class _SearxngAnswer(BaseModel):
    results: list[_SearxngHit]


_Answer = TypeVar("_Answer", bound=BaseModel)


async def _query(url: str, parameters: Mapping[str, str], kind: type[_Answer]) -> _Answer:
    """Request JSON from an engine, with limits for time and size, and parse it."""
    shown = show_url(url)
    try:
        body = await asyncio.wait_for(_read(url, parameters), SEARCH_TIMEOUT_S)
    except asyncio.TimeoutError:
        raise SearchFailed(f"{shown} did not answer within {SEARCH_TIMEOUT_S:g} s") from None
    except REQUEST_FAULTS as fault:
        raise SearchFailed(f"{shown} can't be reached: {type(fault).__name__}: {fault}") from None
    try:
        return kind.model_validate_json(body)
    except ValidationError as fault:
        raise SearchFailed(f"{shown} sent an invalid list of hits: {summarize(fault)}") from None


async def _read(url: str, parameters: Mapping[str, str]) -> bytes:
    headers = {"User-Agent": _USER_AGENT, "Accept": "application/json"}
    # Without httpx's timeout, which restarts with each byte; `_query` limits the whole response.
    async with (
        open_client(timeout_s=None, headers=headers) as client,
        request(client, url, parameters=parameters) as response,
    ):
        if not response.is_success:
            raise SearchFailed(
                f"{show_url(url)} answered {response.status_code} {response.reason_phrase}"
            )
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                raise SearchFailed(f"{show_url(url)} sent more than {MAX_ANSWER_BYTES:,} bytes")
        return bytes(body)
