"""Makes what was declared from plain data: dataclasses, models, enums, dates, arrays and so on."""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Annotated, Any, TypeVar, Union, cast, overload

from pydantic import BaseModel, PlainValidator, PydanticUserError, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation

from . import numpy_forms
from .errors import InvalidInput
from .wording import show, summarize

ValueT = TypeVar("ValueT")


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


def _adapter_of(declared: Any) -> TypeAdapter[Any]:
    try:
        return _cached_adapter(declared)
    except TypeError:
        # It can't be hashed, as `Annotated[int, []]`.
        return _make_adapter(declared)


def _make_adapter(declared: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(_with_arrays(declared))
    except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError) as fault:
        reason = str(fault).partition("\n")[0]
        raise InvalidInput(
            f"values of the type {_name(declared)} can't be made of plain data: {reason}"
        ) from None


_cached_adapter = lru_cache(maxsize=1024)(_make_adapter)


def _with_arrays(declared: Any) -> Any:
    """The type, with NumPy's classes in it replaced by what pydantic can validate."""
    declared = _without_alias(declared)
    origin, arguments = typing.get_origin(declared), typing.get_args(declared)
    if numpy_forms.is_numpy_type(origin):
        # Such as `NDArray[np.float32]`, whose second argument is the dtype.
        return Annotated[Any, PlainValidator(partial(_read_array, origin, _dtype_of(arguments)))]
    if numpy_forms.is_numpy_type(declared):
        return Annotated[Any, PlainValidator(partial(_read_array, declared, None))]
    if origin is None or not _mentions_arrays(declared, frozenset()):
        return _structure_with_arrays(declared)
    if origin is Annotated:
        return Annotated[(_with_arrays(arguments[0]), *arguments[1:])]  # type: ignore[return-value]
    replaced = tuple(map(_with_arrays, arguments))
    if origin in (Union, types.UnionType):
        return Union[replaced]  # noqa: UP007 - the types are values here
    return origin[replaced]


def _without_alias(declared: Any) -> Any:
    """What an alias with arguments stands for: from NumPy 2.5 on, `NDArray` is a `type` alias."""
    stands_for = getattr(typing.get_origin(declared), "__value__", None)
    return declared if stands_for is None else stands_for[typing.get_args(declared)]


def _structure_with_arrays(declared: Any) -> Any:
    """A dataclass or model with arrays in its fields, as what makes it field by field."""
    if not inspect.isclass(declared) or not _mentions_arrays(declared, frozenset()):
        return declared
    return Annotated[Any, PlainValidator(partial(_read_structure, declared))]


def _mentions_arrays(declared: Any, seen: frozenset[Any]) -> bool:
    declared = _without_alias(declared)
    if numpy_forms.is_numpy_type(declared) or numpy_forms.is_numpy_type(
        typing.get_origin(declared)
    ):
        return True
    arguments = typing.get_args(declared)
    if arguments:
        return any(_mentions_arrays(each, seen) for each in arguments)
    if not inspect.isclass(declared) or declared in seen:
        return False
    fields = _field_types(declared)
    return any(_mentions_arrays(each, seen | {declared}) for each in fields.values())


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
        is_read_here = dataclasses.is_dataclass(declared) or _mentions_arrays(kind, frozenset())
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
