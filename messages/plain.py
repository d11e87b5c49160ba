"""Messages whose fields need no serializer of pydantic's, as those of most do not.

Only for classes of our own: whatever a user's class says of its serializing is pydantic's to do.
"""

from __future__ import annotations

from functools import lru_cache
from typing import cast

from pydantic import BaseModel

from .task import Payload

SCALARS: frozenset[type[object]] = frozenset({bool, int, float, str, bytes, type(None)})
"""Types whose values msgpack carries, and that arrive as they were."""

_COLLECTIONS: frozenset[type[object]] = frozenset({dict, list, tuple})

_SHORT = 64
"""Longer lists and dicts are left to msgpack, which is faster at looking through them."""

_NONE_SUCH = object()


def plain_fields(message: BaseModel, without: str = "") -> dict[str, Payload] | None:
    """The fields of a message that differ from their defaults.

    Args:
        message: of a class that serializes as pydantic does by default.
        without: the name of a field that holds a message of its own, and is left out.

    Returns:
        The fields; None if one holds more than scalars and short lists and dicts of these.
    """
    held = message.__dict__
    fields: dict[str, Payload] = {}
    try:
        for name, default in _defaults_of(type(message)):
            value: object = held[name]
            if value is default:
                continue
            kind = type(value)
            if kind in SCALARS or (kind in _COLLECTIONS and not value):
                if value != default:
                    fields[name] = value
            elif is_plain(value):
                fields[name] = value
            elif name != without:
                return None
    except KeyError:
        # It was made without being validated: what it lacks, pydantic leaves out.
        return None
    return fields


def is_plain(value: object) -> bool:
    """Whether a value is a scalar, or a short list or dict of scalars, with names for keys."""
    kind = type(value)
    if kind in SCALARS:
        return True
    if kind is dict:
        named = cast("dict[object, object]", value)
        if len(named) > _SHORT:
            return False
        for key, item in named.items():
            if type(key) is not str or type(item) not in SCALARS:
                return False
        return True
    if kind is list or kind is tuple:
        items = cast("list[object]", value)
        return len(items) <= _SHORT and SCALARS.issuperset(map(type, items))
    return False


@lru_cache(maxsize=256)
def _defaults_of(message_class: type[BaseModel]) -> tuple[tuple[str, object], ...]:
    return tuple(
        (
            name,
            _NONE_SUCH if field.is_required() else field.get_default(call_default_factory=True),
        )
        for name, field in message_class.model_fields.items()
    )
