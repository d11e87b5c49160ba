"""`batch_web_search`: runs many queries one after another, with pauses between them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypedDict, cast

from ...messages import InvalidInput
from ...messages.wording import show
from ..runtime.error_text import describe_fault
from .arguments import check_seconds
from .progress import HasProgress, WholePercents
from .search_engines import SearchEngine, SearchHit, WikipediaEngine


class QueryOutcome(TypedDict):
    """The result of one query.

    Args:
        query: the query.
        hits: the hits, the best first.
        error: why the query failed, as "Type: text"; None if it succeeded.
    """

    query: str
    hits: list[SearchHit]
    error: str | None


class SearchReport(TypedDict):
    """The results of all queries.

    Args:
        engine: the name of the engine.
        queries: the number of queries.
        failed: the number of failed queries.
        hits: the total number of hits.
        results: the result of each query, in order.
    """

    engine: str
    queries: int
    failed: int
    hits: int
    results: list[QueryOutcome]


async def batch_web_search(
    task: HasProgress,
    queries: Sequence[str],
    delay_seconds: float = 1.0,
    *,
    engine: SearchEngine | None = None,
) -> SearchReport:
    """Run several queries one after another.

    If a query fails, its result contains the error, and the others continue.

    Args:
        task: its progress is set to the share of finished queries.
        queries: the queries; none may be blank.
        delay_seconds: the pause between two queries, 0 or more.
        engine: the search engine; `WikipediaEngine()` if None.

    Raises:
        InvalidInput: an argument is out of range, or a query is not text.
    """
    _check_queries(queries)
    check_seconds("delay_seconds", delay_seconds)
    search_engine = WikipediaEngine() if engine is None else engine
    progress = WholePercents(task)
    results: list[QueryOutcome] = []
    for query in queries:
        if results:
            await asyncio.sleep(delay_seconds)
        results.append(await _search(search_engine, query))
        progress.update(len(results), len(queries))
    return SearchReport(
        engine=search_engine.name,
        queries=len(results),
        failed=sum(each["error"] is not None for each in results),
        hits=sum(len(each["hits"]) for each in results),
        results=results,
    )


async def _search(engine: SearchEngine, query: str) -> QueryOutcome:
    try:
        return QueryOutcome(query=query, hits=list(await engine.search(query)), error=None)
    except Exception as fault:  # noqa: BLE001 - a user's engine may raise anything
        return QueryOutcome(query=query, hits=[], error=describe_fault(fault))


def _check_queries(queries: object) -> None:
    # A string is also a sequence of strings.
    if isinstance(queries, str) or not isinstance(queries, Sequence):
        raise InvalidInput(f"queries is {show(queries)}; it must be a list of strings")
    for query in cast("Sequence[object]", queries):
        if not (isinstance(query, str) and query.strip()):
            raise InvalidInput(f"a query is {show(query)}; it must be text that is not blank")
