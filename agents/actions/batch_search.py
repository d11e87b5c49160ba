"""`batch_web_search`: many queries, one after the other, with pauses between them."""

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
    """What came of one query.

    Args:
        query: the query.
        hits: what was found, the best first.
        error: why nothing was, as "Type: text"; None if the engine answered.
    """

    query: str
    hits: list[SearchHit]
    error: str | None


class SearchReport(TypedDict):
    """What came of all queries.

    Args:
        engine: the name of the engine.
        queries: how many queries there were.
        failed: how many of them the engine did not answer.
        hits: how many hits there are in all.
        results: what came of each, in their order.
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
    """Search for one thing after the other.

    A query that goes wrong is told in its place, and the others go on.

    Args:
        task: is told how many of the queries are done.
        queries: what to search for; none of them blank.
        delay_seconds: how long to pause between one and the next, 0 or more.
        engine: where to search; `WikipediaEngine()` if None.

    Raises:
        InvalidInput: an argument is out of range, or a query is no text.
    """
    _check_queries(queries)
    check_seconds("delay_seconds", delay_seconds)
    asked = WikipediaEngine() if engine is None else engine
    told = WholePercents(task)
    results: list[QueryOutcome] = []
    for query in queries:
        if results:
            await asyncio.sleep(delay_seconds)
        results.append(await _search(asked, query))
        told.tell(len(results), len(queries))
    return SearchReport(
        engine=asked.name,
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
    # A text is a sequence of texts, too.
    if isinstance(queries, str) or not isinstance(queries, Sequence):
        raise InvalidInput(f"queries is {show(queries)}; it must be a list of texts")
    for query in cast("Sequence[object]", queries):
        if not (isinstance(query, str) and query.strip()):
            raise InvalidInput(f"a query is {show(query)}; it must be text that is not blank")
