"""Converts Python objects to plain data, which msgpack and JSON can carry, or names what can't be.

Plain data are None, bool, int (64 bits), float, str, bytes, datetimes with a time zone, and lists
and dicts of these. See `to_plain` for the forms of everything else.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import types
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Set
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any, cast, get_args

from pydantic import AliasChoices, AnyUrl, BaseModel, RootModel, SecretBytes, SecretStr
from pydantic.types import UUID4
from pydantic_core import MultiHostUrl, Url, to_jsonable_python

from . import numpy_forms
from .errors import EncodeError
from .extent import MAX_NESTING
from .task import Payload
from .values import Extension
from .wording import show

MAX_LEVELS = MAX_NESTING - 4
"""The levels left for a payload: an assignment itself has four."""

_MIN_INT, _MAX_INT = -(2**63), 2**64 - 1
_MAX_PLACE_CHARACTERS = 60
_UNCHANGED = frozenset({bool, float, bytes, type(None)})
# The class, without the module that can make random ones.
_UUID: type[object] = get_args(UUID4)[0]
_AS_TEXT = (
    Decimal,
    _UUID,
    AnyUrl,
    Url,
    MultiHostUrl,
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
)
_RULE = (
    "use None, bools, numbers, text, bytes, dates, lists, dicts, sets, enums, dataclasses, "
    "pydantic models or NumPy arrays"
)
_KEYS = "keys must be text, bytes, numbers, bools, None, or values with such a plain form"

_EARLIEST = dt.datetime(1, 1, 1, tzinfo=dt.timezone.utc)
_LATEST = dt.datetime.max.replace(tzinfo=dt.timezone.utc)


def to_plain(value: object, place: str = "data") -> Payload:
    """The plain form of a value.

    | value | plain form |
    |---|---|
    | None, bool, int of 64 bits, float (NaN and infinity too), str, bytes | as it is |
    | a datetime with a time zone | as it is; it arrives in UTC |
    | any other datetime, date, time | ISO 8601 text |
    | timedelta | ISO 8601 text, such as "P1DT2H" |
    | Decimal, UUID, Path, IP address, pydantic URL | text |
    | enum | its value |
    | list, tuple, set, frozenset, deque | list; that of a set is sorted |
    | dict and other mappings | dict |
    | dataclass, pydantic model | dict of its fields |
    | NumPy scalar | Python's number, bool or text |
    | NumPy array | `{"dtype": "<f8", "shape": [2, 3], "data": bytes}` |

    Args:
        value: the value.
        place: the name of the value, for errors.

    Raises:
        EncodeError: something in it has no plain form; names its place, such as
            "data.items[3].when".
    """
    try:
        return _convert(value, 1)
    except _NoPlainForm as fault:
        raise EncodeError(fault.describe(place)) from None
    except RecursionError:
        raise EncodeError(f"{place} is nested too deeply, or contains itself") from None


class _NoPlainForm(Exception):
    """A value without a plain form.

    Args:
        reason: what it is and what to do about it.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self._reason = reason
        self._steps: list[str] = []

    def inside(self, step: str) -> _NoPlainForm:
        """The same error, seen from the container."""
        self._steps.append(step)
        return self

    def describe(self, place: str) -> str:
        """The error as a text."""
        whole = place + "".join(reversed(self._steps))
        if len(whole) > _MAX_PLACE_CHARACTERS:
            whole = whole[:_MAX_PLACE_CHARACTERS] + "…"
        return f"{whole}: {self._reason}"


def _convert(value: Any, depth: int) -> Payload:
    kind = cast("type[object]", type(value))
    if kind in _UNCHANGED:
        return value
    if isinstance(value, Enum):
        return _convert(value.value, depth)
    if isinstance(value, str):
        return _check_text(str(value) if kind is not str else value)
    if isinstance(value, int):
        return _check_int(value if kind is int else int(value))
    if isinstance(value, float | bytes | bytearray | memoryview):
        return float(value) if isinstance(value, float) else bytes(cast("bytes", value))
    if isinstance(value, dt.datetime):
        return _convert_datetime(value)
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return to_jsonable_python(value)
    if isinstance(value, _AS_TEXT):
        return _check_text(str(cast("object", value)))
    if hasattr(kind, "__fspath__"):
        return _convert(value.__fspath__(), depth)
    if numpy_forms.is_numpy(value):
        return _convert_numpy(value, depth)
    if depth > MAX_LEVELS:
        raise _NoPlainForm(f"it is nested over {MAX_LEVELS} levels deep, or contains itself")
    if isinstance(value, Mapping):
        return _convert_mapping(cast("Mapping[object, object]", value), depth)
    if isinstance(value, RootModel):
        return _convert(cast("RootModel[object]", value).root, depth + 1)
    if isinstance(value, BaseModel):
        return _convert_fields(_fields_of_model(value), depth)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _convert_fields(_fields_of_dataclass(value), depth)
    if isinstance(value, Set):
        return _in_order(_convert_items(cast("Set[object]", value), depth))
    if isinstance(value, list | tuple | deque) and kind is not Extension:
        return _convert_items(cast("Iterable[object]", value), depth)
    raise _NoPlainForm(_explain(cast("object", value)))


def _convert_items(items: Iterable[object], depth: int) -> list[Payload]:
    index = 0
    converted: list[Payload] = []
    try:
        for item in items:
            converted.append(_convert(item, depth + 1))
            index += 1
    except _NoPlainForm as fault:
        raise fault.inside(f"[{index}]") from None
    return converted


def _convert_mapping(value: Mapping[object, object], depth: int) -> dict[Payload, Payload]:
    converted: dict[Payload, Payload] = {}
    for key, item in value.items():
        name = key if type(key) is str else _convert_key(key)
        if name in converted:
            raise _NoPlainForm(
                f"two of its keys have the plain form {show(name)}; use keys that differ as text"
            )
        try:
            _check_text(name) if type(name) is str else None
            converted[name] = _convert(item, depth + 1)
        except _NoPlainForm as fault:
            raise fault.inside(_step(name)) from None
    return converted


def _convert_key(key: object) -> Payload:
    try:
        name = _convert(key, MAX_LEVELS)
    except _NoPlainForm:
        name = []
    if isinstance(name, list | dict):
        raise _NoPlainForm(f"it has the key {show(key)} ({type(key).__name__}); {_KEYS}")
    return name


def _convert_fields(fields: Iterator[tuple[str, object]], depth: int) -> dict[str, Payload]:
    converted: dict[str, Payload] = {}
    for name, item in fields:
        try:
            converted[name] = _convert(item, depth + 1)
        except _NoPlainForm as fault:
            raise fault.inside(_step(name)) from None
    return converted


def _fields_of_dataclass(value: Any) -> Iterator[tuple[str, object]]:
    for field in dataclasses.fields(value):
        if field.init:
            yield field.name, getattr(value, field.name)


def _fields_of_model(model: BaseModel) -> Iterator[tuple[str, object]]:
    """The fields of a model, by the names by which it is validated again."""
    decorators = model.__pydantic_decorators__
    if decorators.field_serializers or decorators.model_serializers:
        dumped = model.model_dump(round_trip=True, by_alias=True, warnings=False)
        yield from dumped.items()
        return
    for name, field in type(model).model_fields.items():
        if not field.exclude:
            alias = field.validation_alias
            if isinstance(alias, AliasChoices):
                alias = next((each for each in alias.choices if isinstance(each, str)), None)
            yield alias if isinstance(alias, str) else name, getattr(model, name)
    yield from (model.model_extra or {}).items()


def _convert_numpy(value: Any, depth: int) -> Payload:
    try:
        form: object = numpy_forms.to_plain_form(value)
    except ValueError as fault:
        raise _NoPlainForm(str(fault)) from None
    if isinstance(form, dict):
        return cast("Payload", form)
    return _convert(form, depth)


def _convert_datetime(value: dt.datetime) -> Payload:
    if value.tzinfo is None or value.utcoffset() is None:
        return value.isoformat()
    try:
        is_within = _EARLIEST <= value <= _LATEST
    except OverflowError:
        is_within = False
    if not is_within:
        raise _NoPlainForm(f"{show(value)} has a year in UTC that is not from 1 to 9999")
    return value


def _check_int(value: int) -> int:
    if not _MIN_INT <= value <= _MAX_INT:
        raise _NoPlainForm(
            f"{show(value)} does not fit into 64 bits; pass a larger integer as text or Decimal"
        )
    return value


def _check_text(value: str) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise _NoPlainForm(
                f"{show(value)} is not valid Unicode: it has lone surrogates; pass bytes"
            ) from None
    return value


def _in_order(items: list[Payload]) -> list[Payload]:
    # Equal sets must be encoded alike, in any process.
    try:
        return sorted(items)
    except TypeError:
        return sorted(items, key=lambda item: (type(item).__name__, repr(item)))


def _explain(value: object) -> str:
    """What a value without a plain form is, and what to pass instead."""
    kind, shown = type(value), show(value)
    name = f"{kind.__module__}.{kind.__qualname__}"
    if isinstance(value, SecretStr | SecretBytes):
        advice = "it is a secret, which Muster does not carry; pass the name of the secret"
    elif isinstance(value, Iterator | AsyncIterator | range):
        advice = "pass a list of its values"
    elif isinstance(value, types.CoroutineType):
        advice = "await it, and pass what it returns"
    elif kind.__module__.partition(".")[0] == "pandas":
        advice = "pass its dict (`to_dict()`) or an array (`to_numpy()`)"
    elif callable(value):
        advice = "pass what the other side needs to find it, such as its name"
    else:
        advice = _RULE
    kind_shown = kind.__qualname__ if kind.__module__ == "builtins" else name
    return f"{shown} is of the class {kind_shown}, which has no plain form; {advice}"


def _step(key: object) -> str:
    return f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{show(key)}]"
