"""Makes objects whose fields all differ from their defaults, whatever fields there are.

A test that uses it looks at a field that is added later, too: nobody has to think of it.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Iterator, Mapping
from enum import Enum
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import BaseModel, TypeAdapter, ValidationError

MadeT = TypeVar("MadeT")

NESTED: dict[str, Any] = {"rows": [[1, 2.5], {"deep": (b"leaf", None)}], "n": -1}
"""What a payload may hold that no fast path takes."""

_TEXTS = ("a" * 64, "00-" + "a" * 32 + "-" + "b" * 16 + "-01")
"""What satisfies the patterns that a plain word does not."""


def make(kind: type[MadeT], payload: Any = "payload", **given: Any) -> MadeT:
    """Make an object with every field set to something else than its default.

    Args:
        kind: a pydantic model, a dataclass or a named tuple.
        payload: what fields hold that may hold anything.
        given: fields with values of the caller's own.
    """
    values: dict[str, Any] = {}
    for name in names_of(kind):
        if name in given:
            values[name] = given[name]
        else:
            values[name] = _make_value(kind, name, payload)
    return kind(**values)


def names_of(kind: type[Any]) -> tuple[str, ...]:
    """The names of the fields with which an object is made."""
    if issubclass(kind, BaseModel):
        return tuple(kind.model_fields)
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind) if field.init)
    return kind._fields


def default_of(kind: type[Any], name: str) -> Any:
    """The default of a field; `...` if it has none."""
    if issubclass(kind, BaseModel):
        field = kind.model_fields[name]
        return ... if field.is_required() else field.get_default(call_default_factory=True)
    if dataclasses.is_dataclass(kind):
        (found,) = (field for field in dataclasses.fields(kind) if field.name == name)
        if found.default_factory is not dataclasses.MISSING:
            return found.default_factory()
        return ... if found.default is dataclasses.MISSING else found.default
    return kind._field_defaults.get(name, ...)


def values_of(made: Any) -> dict[str, Any]:
    """The fields of an object by their names."""
    return {name: getattr(made, name) for name in names_of(type(made))}


def _make_value(kind: type[Any], name: str, payload: Any) -> Any:
    # By its name, so that it stays as it is when other fields come.
    number = 11 + zlib.crc32(name.encode()) % 80
    default = default_of(kind, name)
    rule = _rule_of(kind, name)
    check: TypeAdapter[Any] | None = None
    if issubclass(kind, BaseModel):
        check = TypeAdapter(Annotated[rule, kind.model_fields[name]])
    for candidate in _candidates(rule, name, number, payload):
        if candidate == default:
            continue
        if check is None:
            return candidate
        try:
            return check.validate_python(candidate)
        except ValidationError:
            continue
    raise AssertionError(
        f"nothing known here fits {kind.__name__}.{name}, which is a {rule}; "
        "let tests/every_field.py know of something"
    )


def _rule_of(kind: type[Any], name: str) -> Any:
    if issubclass(kind, BaseModel):
        return kind.model_fields[name].annotation
    home = next(each for each in kind.__mro__ if name in vars(each).get("__annotations__", {}))
    # This one alone: others may name what only type checkers import.
    rule = {name: home.__annotations__[name]}
    alone = type("alone", (), {"__annotations__": rule, "__module__": home.__module__})
    return get_type_hints(alone, include_extras=True)[name]


def _candidates(rule: Any, name: str, number: int, payload: Any) -> Iterator[Any]:
    origin, inside = get_origin(rule), get_args(rule)
    if origin is Annotated:
        yield from _candidates(inside[0], name, number, payload)
    elif origin in (Union, UnionType):
        for each in inside:
            yield from _candidates(each, name, number, payload)
    elif origin is Literal:
        yield from inside
    elif origin is tuple and inside[-1] is not Ellipsis:
        # Names and numbers next to each other, so that a swap shows.
        yield tuple(
            next(_candidates(each, f"{name}_{place}", number + place, payload))
            for place, each in enumerate(inside)
        )
        for text in _TEXTS:
            yield tuple(
                text if _is_text(each) else next(_candidates(each, name, number + place, payload))
                for place, each in enumerate(inside)
            )
    elif origin in (tuple, list, set, frozenset):
        for each in _candidates(inside[0], name, number, payload):
            yield origin([each])
    elif origin is dict or origin is Mapping:
        key = next(_candidates(inside[0], name, number, payload))
        # A dict whose values are None is an ordered set.
        yield {key: next(_candidates(inside[1], name, number, payload), None)}
    elif rule is Any or rule is object:
        yield payload
    elif isinstance(rule, type):
        yield from _candidates_of_class(rule, name, number, payload)
    elif isinstance(rule):
        yield from _candidates(rule.__value__, name, number, payload)


def _candidates_of_class(rule: type[Any], name: str, number: int, payload: Any) -> Iterator[Any]:
    if rule is NoneType:
        return
    if rule is bool:
        yield from (True, False)
    elif issubclass(rule, Enum):
        yield from reversed(list(rule))
    elif rule is int:
        # The smaller one for what is bounded.
        yield from (number, 3)
    elif rule is float:
        yield from (number + 0.5, 0.5)
    elif rule is str:
        yield from (name, *_TEXTS)
    elif rule is bytes:
        yield name.encode()
    elif issubclass(rule, BaseModel) or dataclasses.is_dataclass(rule) or hasattr(rule, "_fields"):
        yield make(cast("type[Any]", rule), payload)


def _is_text(rule: Any) -> bool:
    return rule is str or (get_origin(rule) is Annotated and get_args(rule)[0] is str)
