"""Finds the `Handlers` that `muster worker --handlers MODULE[:ATTRIBUTE]` names."""

from __future__ import annotations

from collections.abc import Iterable

from ...messages import InvalidInput
from ..handlers import Handlers
from .loading import load_module


def find_handlers(names: Iterable[str]) -> Handlers:
    """Gather the handlers of several modules.

    Args:
        names: each a module, of which every `Handlers` is taken, or "module:attribute".

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
        if attribute not in found:
            raise InvalidInput(
                f"module {module_name!r} has no Handlers called {attribute!r}; "
                f"it has: {', '.join(found) or 'none'}"
            )
        return [found[attribute]]
    if not found:
        public = [key for key in vars(module) if not key.startswith("_")]
        raise InvalidInput(
            f"module {module_name!r} holds no Handlers, only: {', '.join(public) or 'nothing'}; "
            "make one with `handlers = Handlers()` and `@handlers.task(TYPE)`"
        )
    return list(found.values())
