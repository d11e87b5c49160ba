"""What counts as an async function, whatever a user gives."""

from __future__ import annotations

import functools
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
from muster.agents.runtime.async_functions import is_async


async def work(*given: object) -> None: ...


def plain_work(*given: object) -> None: ...


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def inner(*given: object) -> Any:
        return function(*given)

    return inner


class Work:
    async def __call__(self, *given: object) -> None: ...

    async def method(self, *given: object) -> None: ...

    @staticmethod
    async def static(*given: object) -> None: ...


class PlainWork:
    def __call__(self, *given: object) -> None: ...


@pytest.mark.parametrize(
    "function",
    [
        work,
        partial(work, 1),
        partial(partial(work, 1), 2),
        decorated(work),
        partial(decorated(work), 1),
        Work(),
        partial(Work(), 1),
        Work().method,
        decorated(Work().method),
        Work.static,
        AsyncMock(),
    ],
)
def test_what_gives_a_coroutine_is_async(function: object) -> None:
    assert is_async(function)


@pytest.mark.parametrize(
    "function",
    [
        plain_work,
        partial(plain_work, 1),
        decorated(plain_work),
        PlainWork(),
        Work,
        print,
        Mock(),
        lambda task: work(task),  # noqa: PLW0108 - nobody can know what it returns
        None,
        "work",
        3,
    ],
)
def test_what_gives_anything_else_is_not(function: object) -> None:
    assert not is_async(function)
