"""Futures as arguments of a call: it begins when they are done, and gets their results."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from ..submission.call_future import CallFuture


def futures_in(arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> list[CallFuture[Any]]:
    """The futures among the arguments, and in those that are lists or tuples."""
    return list(_find((*arguments, *keywords.values())))


def _find(values: Sequence[Any]) -> Iterator[CallFuture[Any]]:
    for value in values:
        if isinstance(value, CallFuture):
            yield value
        elif type(value) in (list, tuple):
            yield from (each for each in value if isinstance(each, CallFuture))


def with_results(
    arguments: tuple[Any, ...], keywords: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments with results in place of futures, which are done.

    Raises:
        BaseException: what one of the futures raises.
    """
    return (
        tuple(map(_result_of, arguments)),
        {name: _result_of(value) for name, value in keywords.items()},
    )


def _result_of(value: Any) -> Any:
    if isinstance(value, CallFuture):
        future = cast("CallFuture[Any]", value)
        return future.result()
    if type(value) in (list, tuple) and any(isinstance(each, CallFuture) for each in value):
        given = cast("list[Any]", value)
        results = [_result_of(each) if isinstance(each, CallFuture) else each for each in given]
        return results if type(value) is list else tuple(results)
    return value


def when_done(futures: Sequence[CallFuture[Any]], then: Callable[[], None]) -> None:
    """Call a function once, when all of some futures are done."""
    lock = threading.Lock()
    left = len(futures)

    def count(_: object) -> None:
        nonlocal left
        with lock:
            left -= 1
            is_last = not left
        if is_last:
            then()

    for future in futures:
        future.add_done_callback(count)
