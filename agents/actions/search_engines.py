"""Where searches are made: the protocol of every engine, and two that need no key."""

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
from .web_requests import REQUEST_FAULTS, ask, check_url, open_client, show_url

MAX_ANSWER_BYTES = 2_000_000
"""How long an engine's answer may be."""

SEARCH_TIMEOUT_S = 20.0
"""How long an engine may take for one query, in seconds."""

_USER_AGENT = "ceylon-muster (a task manager; batch_web_search)"
_TAG = re.compile(r"<[^>]*>")


class SearchHit(TypedDict):
    """One thing that was found."""

    title: str
    url: str
    snippet: str


class SearchEngine(Protocol):
    """Answers queries; whatever it raises is told as the error of that query."""

    @property
    def name(self) -> str:
        """What it is called in reports."""
        ...

    async def search(self, query: str) -> Sequence[SearchHit]:
        """What it finds for a query, the best first."""
        ...


class WikipediaEngine:
    """Searches the articles of a Wikipedia; it needs no key and no account.

    Args:
        base_url: whose articles.
        max_hits: how many hits to ask for, 1 or more.

    Raises:
        InvalidInput: an argument is out of range.
    """

    name = "wikipedia"

    def __init__(self, base_url: str = "https://en.wikipedia.org", max_hits: int = 10) -> None:
        check_url(base_url)
        check_count("max_hits", max_hits)
        self._base_url = base_url.rstrip("/")
        self._max_hits = max_hits

    async def search(self, query: str) -> Sequence[SearchHit]:
        """Find articles.

        Raises:
            SearchFailed: there was no answer that can be used.
        """
        parameters = {
            "action": "query",
            "list": "search",
            "srsearch": query,
            "srlimit": str(self._max_hits),
            "format": "json",
            "formatversion": "2",
        }
        answer = await _ask(f"{self._base_url}/w/api.php", parameters, _WikipediaAnswer)
        return [
            SearchHit(
                title=hit.title,
                url=f"{self._base_url}/?curid={hit.pageid}",
                snippet=html.unescape(_TAG.sub("", hit.snippet)),
            )
            for hit in answer.query.search[: self._max_hits]
        ]


class SearxngEngine:
    """Searches the web through a SearXNG server, such as one of your own.

    Its settings must allow the format `json`.

    Args:
        base_url: the server.
        max_hits: how many hits to take, 1 or more.

    Raises:
        InvalidInput: an argument is out of range.
    """

    name = "searxng"

    def __init__(self, base_url: str, max_hits: int = 10) -> None:
        check_url(base_url)
        check_count("max_hits", max_hits)
        self._base_url = base_url.rstrip("/")
        self._max_hits = max_hits

    async def search(self, query: str) -> Sequence[SearchHit]:
        """Find pages.

        Raises:
            SearchFailed: there was no answer that can be used.
        """
        parameters = {"q": query, "format": "json"}
        answer = await _ask(f"{self._base_url}/search", parameters, _SearxngAnswer)
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


async def _ask(url: str, parameters: Mapping[str, str], kind: type[_Answer]) -> _Answer:
    """Ask an engine for JSON of some kind, of which no more is read than is allowed."""
    shown = show_url(url)
    try:
        body = await asyncio.wait_for(_read(url, parameters), SEARCH_TIMEOUT_S)
    except asyncio.TimeoutError:
        raise SearchFailed(f"{shown} did not answer within {SEARCH_TIMEOUT_S:g} s") from None
    except REQUEST_FAULTS as fault:
        raise SearchFailed(f"{shown} can't be asked: {type(fault).__name__}: {fault}") from None
    try:
        return kind.model_validate_json(body)
    except ValidationError as fault:
        raise SearchFailed(f"{shown} sent no list of hits: {summarize(fault)}") from None


async def _read(url: str, parameters: Mapping[str, str]) -> bytes:
    headers = {"User-Agent": _USER_AGENT, "Accept": "application/json"}
    # `_ask` has a limit for the whole answer; httpx's own begins anew with each byte.
    async with (
        open_client(timeout_s=None, headers=headers) as client,
        ask(client, url, parameters=parameters) as response,
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
