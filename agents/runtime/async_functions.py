"""Whether something that a user gives is async."""

from __future__ import annotations

import inspect
from functools import partial
from typing import cast


def is_async(function: object) -> bool:
    """Whether calling something gives a coroutine.

    It may be a function, a method, a partial, an object that can be called, or any of them under a
    decorator that keeps its name (`functools.wraps`).
    """
    while isinstance(function, partial):
        function = cast("partial[object]", function).func
    if not callable(function):
        return False
    inner = inspect.unwrap(function)
    # Of its class, since a class that is given itself makes an instance.
    return inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(type(inner).__call__)
