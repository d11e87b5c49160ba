"""Makes what was declared from plain data: dataclasses, models, enums, dates, arrays and so on."""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Collection, Iterable
from functools import lru_cache, partial
from typing import Annotated, Any, TypeAlias, TypeVar, Union, cast, overload

from pydantic import (
    AfterValidator,
    BaseModel,
    PlainValidator,
    PydanticUserError,
    TypeAdapter,
    ValidationError,
)
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation

from . import numpy_forms
from .errors import InvalidInput
from .wording import show, summarize

ValueT = TypeVar("ValueT")

Reader: TypeAlias = Callable[[Any], Any]
"""Makes a value of a declared type from plain data, or raises `pydantic.ValidationError`."""

_SEVERAL = (Iterable, Collection)
"""What a list stands for, since an iterable that pydantic makes can be read only once."""


@overload
def from_plain(value: Any, declared: type[ValueT]) -> ValueT: ...


@overload
def from_plain(value: Any, declared: Any) -> Any: ...


def from_plain(value: Any, declared: Any) -> Any:
    """What a type says that plain data are: the reverse of `to_plain`.

    Args:
        value: the plain data, such as `task.data` or a result's output.
        declared: any type that pydantic knows, such as a dataclass, a model, an enum, `Decimal`,
            `Path` or `dict[UUID, list[date]]`; or a NumPy array or scalar.

    Raises:
        InvalidInput: the data are not of this type, with the place and the rule; or it is a type
            that can't be read from plain data.
    """
    try:
        return _adapter_of(declared).validate_python(value)
    except ValidationError as fault:
        # Without a place, the text begins with the name of the schema.
        told = summarize(fault).removeprefix(f"{fault.title}: ")
        raise InvalidInput(f"{_name(declared)}: {told}") from None


def reader_of(declared: Any) -> Reader:
    """What reads plain data as a type, for data that are read often; see `from_plain`.

    Raises:
        InvalidInput: it is a type that can't be read from plain data. Its cause is a
            `PydanticUndefinedAnnotation` if only something that it names is missing.
    """
    return _adapter_of(declared).validate_python


def json_schema_of(declared: Any) -> dict[str, Any]:
    """The JSON schema of the plain data of a type; one that allows anything if it has none."""
    try:
        return _adapter_of(declared).json_schema()
    except (PydanticUserError, InvalidInput):
        return {}


def _adapter_of(declared: Any) -> TypeAdapter[Any]:
    try:
        return _cached_adapter(declared)
    except TypeError:
        # It can't be hashed, as `Annotated[int, []]`.
        return _make_adapter(declared)


def _make_adapter(declared: Any) -> TypeAdapter[Any]:
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(_readable(declared))
        # Raises if a class that it names is not defined, or not yet.
        adapter.rebuild(raise_errors=True)
        return adapter
    except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError) as fault:
        reason = str(fault).partition(". Set `arbitrary_types_allowed")[0].partition("\n")[0]
        raise InvalidInput(
            f"values of the type {_name(declared)} can't be made of plain data: {reason}"
        ) from (fault if isinstance(fault, PydanticUndefinedAnnotation) else None)


_cached_adapter = lru_cache(maxsize=1024)(_make_adapter)


def _readable(declared: Any) -> Any:
    """The type, with what pydantic can't make of plain data replaced by what it can."""
    declared = _without_alias(declared)
    own = _own_form(declared)
    if own is not None:
        return own
    origin, arguments = typing.get_origin(declared), typing.get_args(declared)
    if origin is None or not _has_own_forms(declared, frozenset()):
        return _readable_structure(declared)
    if origin is Annotated:
        return Annotated[(_readable(arguments[0]), *arguments[1:])]  # type: ignore[return-value]
    replaced = tuple(map(_readable, arguments))
    if origin in (Union, types.UnionType):
        return Union[replaced]  # noqa: UP007 - the types are values here
    return origin[replaced]


def _own_form(declared: Any) -> Any:
    """What stands for a type that pydantic can't make of plain data; None for others."""
    origin, arguments = typing.get_origin(declared), typing.get_args(declared)
    if numpy_forms.is_numpy_type(origin):
        # Such as `NDArray[np.float32]`, whose second argument is the dtype.
        return Annotated[Any, PlainValidator(partial(_read_array, origin, _dtype_of(arguments)))]
    if numpy_forms.is_numpy_type(declared):
        return Annotated[Any, PlainValidator(partial(_read_array, declared, None))]
    if declared in _SEVERAL or origin in _SEVERAL:
        return list[_readable(arguments[0])] if arguments else list  # type: ignore[misc]
    if declared is bytearray:
        return Annotated[bytes, AfterValidator(bytearray)]
    return None


def _without_alias(declared: Any) -> Any:
    """What an alias with arguments stands for: from NumPy 2.5 on, `NDArray` is a `type` alias."""
    stands_for = getattr(typing.get_origin(declared), "__value__", None)
    return declared if stands_for is None else stands_for[typing.get_args(declared)]


def _readable_structure(declared: Any) -> Any:
    """A dataclass or model with such types in its fields, as what makes it field by field."""
    if not inspect.isclass(declared) or not _has_own_forms(declared, frozenset()):
        return declared
    return Annotated[Any, PlainValidator(partial(_read_structure, declared))]


def _has_own_forms(declared: Any, seen: frozenset[Any]) -> bool:
    declared = _without_alias(declared)
    if _own_form(declared) is not None:
        return True
    arguments = typing.get_args(declared)
    if arguments:
        return any(_has_own_forms(each, seen) for each in arguments)
    if not inspect.isclass(declared) or declared in seen:
        return False
    fields = _field_types(declared)
    return any(_has_own_forms(each, seen | {declared}) for each in fields.values())


def _field_types(declared: type[Any]) -> dict[str, Any]:
    """The types of the fields of a dataclass or a model; none for other classes."""
    if issubclass(declared, BaseModel):
        return {name: field.annotation for name, field in declared.model_fields.items()}
    if not dataclasses.is_dataclass(declared):
        return {}
    try:
        hints = typing.get_type_hints(declared, include_extras=True)
    except NameError:
        return {}
    return {each.name: hints[each.name] for each in dataclasses.fields(declared) if each.init}


def _read_structure(declared: type[Any], value: Any) -> Any:
    if isinstance(value, declared):
        return value
    if not isinstance(value, dict):
        raise ValueError(f"must be a dict of the fields of {declared.__name__}")  # noqa: TRY004
    given = dict(cast("dict[str, Any]", value))
    for name, kind in _field_types(declared).items():
        is_read_here = dataclasses.is_dataclass(declared) or _has_own_forms(kind, frozenset())
        if name in given and is_read_here:
            try:
                given[name] = from_plain(given[name], kind)
            except InvalidInput as fault:
                raise ValueError(f"{name}: {fault}") from None
    make: Callable[..., Any] = (
        declared.model_validate if issubclass(declared, BaseModel) else partial(_call, declared)
    )
    return make(given)


def _call(declared: type[Any], given: dict[str, Any]) -> Any:
    try:
        return declared(**given)
    except TypeError as fault:
        raise ValueError(str(fault)) from None


def _read_array(wanted: Any, dtype: Any, form: Any) -> Any:
    try:
        array = numpy_forms.from_plain_form(form, wanted)
        return array if dtype is None else array.astype(dtype, copy=False)
    except (TypeError, KeyError, OverflowError) as fault:
        raise ValueError(str(fault)) from None


def _dtype_of(arguments: tuple[Any, ...]) -> Any:
    """The class of scalars in the arguments of an array's type; None for any."""
    for each in typing.get_args(arguments[-1]) if arguments else ():
        if numpy_forms.is_numpy_type(each):
            return each
    return None


def _name(declared: Any) -> str:
    return declared.__qualname__ if inspect.isclass(declared) else show(declared)
