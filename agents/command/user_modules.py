"""Finds the `Handlers` that `muster worker --handlers MODULE[:ATTRIBUTE]` names.

An attribute may be a function that makes them, with an argument behind another colon:
`muster.agents.web:scraping:superagi`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable

from ...messages import InvalidInput
from ..execution.handlers import Handlers
from .loading import load_module


def find_handlers(names: Iterable[str]) -> Handlers:
    """Gather the handlers of several modules.

    Args:
        names: each a module, of which every `Handlers` is taken, or "module:attribute", or
            "module:function" or "module:function:argument" for a function that makes handlers.

    Raises:
        InvalidInput: a module, or what is wanted of it, is not there, or two clash.
    """
    gathered = Handlers()
    taken: set[int] = set()
    for name in names:
        for handlers in _find(name):
            if id(handlers) not in taken:
                taken.add(id(handlers))
                gathered.update(handlers)
    return gathered


def _find(name: str) -> list[Handlers]:
    module_name, colon, attribute = name.partition(":")
    module = load_module(module_name)
    found = {key: value for key, value in vars(module).items() if isinstance(value, Handlers)}
    if colon:
        attribute, *arguments = attribute.split(":", 1)
        makes_handlers = getattr(module, attribute, None)
        if inspect.isfunction(makes_handlers) and not attribute.startswith("_"):
            return [_make(name, makes_handlers, arguments)]
        if attribute not in found or arguments:
            raise InvalidInput(
                f"module {module_name!r} has no {'function' if arguments else 'Handlers'} called "
                f"{attribute!r}; it has: {', '.join(found) or 'none'}"
            )
        return [found[attribute]]
    if not found:
        public = [key for key in vars(module) if not key.startswith("_")]
        raise InvalidInput(
            f"module {module_name!r} holds no Handlers, only: {', '.join(public) or 'nothing'}; "
            "make one with `handlers = Handlers()` and `@handlers.task(TYPE)`"
        )
    return list(found.values())


def _make(name: str, function: Callable[..., object], arguments: list[str]) -> Handlers:
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError as fault:
        raise InvalidInput(f"{name!r} can't be called so: {fault}") from None
    made = function(*arguments)
    if not isinstance(made, Handlers):
        raise InvalidInput(f"{name!r} gave {type(made).__name__}, and not Handlers")
    return made
