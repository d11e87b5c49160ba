"""Makes the named tuples of which each task needs several."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar, cast

_NamedT = TypeVar("_NamedT", bound=tuple[Any, ...])


class _MakeNamed(Protocol):
    def __call__(self, kind: type[_NamedT], fields: tuple[object, ...], /) -> _NamedT: ...


make_named: _MakeNamed = cast("Any", tuple.__new__)
"""Makes a named tuple of all its fields; calling its class, whose `__new__` is Python, takes twice
as long."""
