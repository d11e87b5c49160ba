"""Queries one after the other, at engines that can be exchanged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from muster.agents import run_in_virtual_time
from muster.agents.actions import (
    SearchHit,
    SearxngEngine,
    WikipediaEngine,
    batch_search,
    batch_web_search,
    search_engines,
)
from muster.messages import InvalidInput, SearchFailed


class Almanac:
    """An engine of a user's own."""

    name = "almanac"

    def __init__(self) -> None:
        self.asked: list[tuple[str, float]] = []

    async def search(self, query: str) -> Sequence[SearchHit]:
        self.asked.append((query, asyncio.get_running_loop().time()))
        if query == "frost":
            raise LookupError("no such page")
        return [SearchHit(title=query.title(), url=f"almanac:{query}", snippet="")]


def test_queries_go_out_one_by_one_with_pauses_between_them(told: Any) -> None:
    engine = Almanac()
    report = run_in_virtual_time(
        batch_web_search(told, ["rain", "frost", "sun"], delay_seconds=2.0, engine=engine)
    )
    assert engine.asked == [("rain", 0.0), ("frost", 2.0), ("sun", 4.0)]
    assert (report["engine"], report["queries"], report["failed"]) == ("almanac", 3, 1)
    assert report["hits"] == 2
    assert report["results"] == [
        {
            "query": "rain",
            "hits": [{"title": "Rain", "url": "almanac:rain", "snippet": ""}],
            "error": None,
        },
        {"query": "frost", "hits": [], "error": "LookupError: no such page"},
        {
            "query": "sun",
            "hits": [{"title": "Sun", "url": "almanac:sun", "snippet": ""}],
            "error": None,
        },
    ]
    assert told.seen == [33.0, 66.0, 100.0]


def test_a_cancelled_search_asks_no_more(told: Any) -> None:
    engine = Almanac()

    async def main() -> None:
        work = asyncio.ensure_future(batch_web_search(told, ["a", "b", "c"], 10, engine=engine))
        await asyncio.sleep(15)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        await asyncio.sleep(60)

    run_in_virtual_time(main())
    assert [query for query, _ in engine.asked] == ["a", "b"]


def test_nothing_to_search_for_is_found_at_once(told: Any) -> None:
    report = run_in_virtual_time(batch_web_search(told, [], engine=Almanac()))
    assert (report["queries"], report["results"]) == (0, [])


async def test_without_an_engine_wikipedia_is_searched(
    server: Any, told: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_search, "WikipediaEngine", lambda: WikipediaEngine(server.url, 2))

    async def serve(connection: Any) -> None:
        hits = [
            {"pageid": 1, "title": "Tea", "snippet": "<span class='m'>Tea</span> &amp; leaves"},
            {"pageid": 2, "title": "Leaf"},
            {"pageid": 3, "title": "One too many"},
        ]
        await connection.answer(json.dumps({"query": {"search": hits}}).encode())

    server.behaviour = serve
    report = await batch_web_search(told, ["tea & leaves"], delay_seconds=0)
    assert report["results"][0]["hits"] == [
        {"title": "Tea", "url": f"{server.url}/?curid=1", "snippet": "Tea & leaves"},
        {"title": "Leaf", "url": f"{server.url}/?curid=2", "snippet": ""},
    ]
    asked = urlsplit(server.requests[0].target)
    assert asked.path == "/w/api.php"
    assert parse_qs(asked.query)["srsearch"] == ["tea & leaves"]
    assert parse_qs(asked.query)["srlimit"] == ["2"]
    assert "ceylon-muster" in server.requests[0].headers["user-agent"]


async def test_a_searxng_server_is_searched(server: Any, told: Any) -> None:
    async def serve(connection: Any) -> None:
        hit = {"title": "Tea", "url": "https://tea.example", "content": None, "engine": "x"}
        await connection.answer(json.dumps({"results": [hit]}).encode())

    server.behaviour = serve
    engine = SearxngEngine(f"{server.url}/searx/")
    report = await batch_web_search(told, ["tea"], engine=engine)
    assert report["results"][0]["hits"] == [
        {"title": "Tea", "url": "https://tea.example", "snippet": ""}
    ]
    assert server.requests[0].target == "/searx/search?q=tea&format=json"


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        ("429 Too Many Requests", b"", "answered 429 Too Many Requests"),
        ("200 OK", b"<html>", "sent an invalid list of hits"),
        ("200 OK", b'{"results": 7}', "sent an invalid list of hits"),
        ("200 OK", bytes(100), "sent more than 50 bytes"),
    ],
)
async def test_an_answer_that_cannot_be_used_is_told(
    server: Any, monkeypatch: pytest.MonkeyPatch, status: str, body: bytes, words: str
) -> None:
    monkeypatch.setattr(search_engines, "MAX_ANSWER_BYTES", 50)

    async def serve(connection: Any) -> None:
        await connection.answer(body, status)

    server.behaviour = serve
    with pytest.raises(SearchFailed, match=words):
        await SearxngEngine(server.url).search("tea")


async def test_an_engine_that_does_not_answer_is_given_up(
    server: Any, told: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_engines, "SEARCH_TIMEOUT_S", 0.05)

    async def serve(connection: Any) -> None:
        del connection
        await asyncio.sleep(30)

    server.behaviour = serve
    report = await batch_web_search(told, ["tea"], engine=SearxngEngine(server.url))
    assert "did not answer within 0.05 s" in report["results"][0]["error"]


@pytest.mark.parametrize("queries", ["tea", None, ["tea", " "], [7]])
def test_queries_that_are_none_are_refused(told: Any, queries: Any) -> None:
    with pytest.raises(InvalidInput, match=r"quer(ies|y) is"):
        run_in_virtual_time(batch_web_search(told, queries))
