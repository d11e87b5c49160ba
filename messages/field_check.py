"""Sees, when a module is imported, that a place that lists fields by hand lists them all.

Where speed or an old format asks for such a list, a field that is added later must not be lost.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import BaseModel

from .errors import WrongCall


def check_fields(kind: type[Any], listed: Collection[str], place: str) -> None:
    """See that a list names exactly the fields of a class.

    Args:
        kind: a pydantic model, a dataclass or a named tuple.
        listed: the names in the list, those that are left out on purpose among them.
        place: where the list stands, for the error.

    Raises:
        WrongCall: a field is missing in the list, or is no field of the class; names it.
    """
    known = field_names(kind)
    for name in known:
        if name not in listed:
            raise WrongCall(
                f"{kind.__name__}.{name} is not in the list of {place}, and would be lost there; "
                "add it to the list"
            )
    for name in listed:
        if name not in known:
            raise WrongCall(
                f"{name!r} is in the list of {place}, but {kind.__name__} has no such field; "
                "take it out of the list"
            )


def field_names(kind: type[Any]) -> tuple[str, ...]:
    """The names of the fields of a pydantic model, a dataclass or a named tuple."""
    if issubclass(kind, BaseModel):
        return tuple(kind.model_fields)
    if is_dataclass(kind):
        return tuple(field.name for field in fields(kind))
    return kind._fields
