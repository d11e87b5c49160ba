"""A fast path for messages whose fields are plain values, without pydantic's serializer.

Only for Muster's own classes, because a user's class may define how it is serialized.
"""

from __future__ import annotations

from functools import lru_cache

from pydantic import BaseModel

from .task import Payload

SCALARS: frozenset[type[object]] = frozenset({bool, int, float, str, bytes, type(None)})
"""The scalar types that msgpack encodes and decodes without a change."""

_COLLECTIONS: frozenset[type[object]] = frozenset({dict, list, tuple})

_SHORT = 64
"""The maximum length of a list or dict that is checked here; the slow path handles longer ones."""

_NONE_SUCH = object()


def plain_fields(message: BaseModel, without: str = "") -> dict[str, Payload] | None:
    """The fields of a message that differ from their defaults.

    Args:
        message: a message whose class has no custom serialization.
        without: the name of a field that contains another message, and is left out.

    Returns:
        The fields; None if the value of one is not plain (see `is_plain`).
    """
    held = message.__dict__
    fields: dict[str, Payload] = {}
    try:
        for name, default in defaults_of(type(message)):
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
        # The message was created without validation and lacks a field; pydantic can dump it.
        return None
    return fields


def is_plain(value: Payload) -> bool:
    """Whether a value is a scalar, or a short list or dict of scalars with strings as keys."""
    kind = type(value)  # pyright: ignore[reportUnknownVariableType]
    if kind in SCALARS:
        return True
    if kind is dict:
        if len(value) > _SHORT:
            return False
        for key, item in value.items():
            if type(key) is not str or type(item) not in SCALARS:
                return False
        return True
    if kind is list or kind is tuple:
        return len(value) <= _SHORT and SCALARS.issuperset(map(type, value))
    return False


@lru_cache(maxsize=256)
def defaults_of(message_class: type[BaseModel]) -> tuple[tuple[str, object], ...]:
    """The fields of a message class with their defaults; an object that equals nothing for none."""
    return tuple(
        (
            name,
            _NONE_SUCH if field.is_required() else field.get_default(call_default_factory=True),
        )
        for name, field in message_class.model_fields.items()
    )
