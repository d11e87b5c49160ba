"""Pydantic models that also behave as dataclasses.

A `Record` accepts positional arguments, may be subclassed with `@dataclass`, and works with the
functions of `dataclasses`. It is still a pydantic model: each way of creating one validates it.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast
from weakref import WeakKeyDictionary

from pydantic import BaseModel

from .errors import InvalidInput, WrongCall

RecordT = TypeVar("RecordT", bound="Record")

_KEPT = ("__init__", "__repr__", "__eq__", "__replace__", "__dataclass_fields__")
"""Attributes that `@dataclass` would generate from the fields declared in that subclass alone.

`Record` keeps its own versions, which cover the inherited fields too.
"""


class _DataclassFields:
    """A descriptor for `__dataclass_fields__`: the fields of the class on which it is read."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[type[Record], dict[str, dataclasses.Field[Any]]] = (
            WeakKeyDictionary()
        )

    def __get__(
        self, record: Record | None, record_class: type[Record]
    ) -> dict[str, dataclasses.Field[Any]]:
        known = self._known.get(record_class)
        if known is None:
            known = _dataclass_fields_of(record_class)
            if record_class.__pydantic_complete__:
                self._known[record_class] = known
        return known


_LIKE_THIS: Any = dataclasses.make_dataclass("_LIKE_THIS", (), repr=False, kw_only=True)


class Record(BaseModel):
    """A pydantic model that also behaves as a dataclass.

    Positional arguments fill the fields in the order in which they are declared, the base class's
    first. Where a class declares some fields with `kw_only=False`, its others go by name only. A
    subclass may be decorated with `@dataclass`, which changes nothing.
    """

    # The parameters of `@dataclass`, which subclasses, `pprint` and Dask read.
    __dataclass_params__: ClassVar[Any] = _LIKE_THIS.__dataclass_params__

    if TYPE_CHECKING:
        __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]
    else:
        __dataclass_fields__ = _DataclassFields()

        # Hidden from type checkers, so that they derive the signature from the fields.
        def __init__(self, /, *arguments: object, **fields: object) -> None:
            """Create a record from its fields, by position or by name.

            Raises:
                WrongCall: there are too many positional arguments, or a field is given twice.
                pydantic.ValidationError: a field is invalid.
            """
            if arguments:
                fields = _by_name(type(self), arguments, fields)
            self.__pydantic_validator__.validate_python(fields, self_instance=self)

        # Tells pydantic to skip this method when it validates a value itself.
        __init__.__pydantic_base_init__ = True

        def __replace__(self: RecordT, **changes: object) -> RecordT:
            return dataclasses.replace(self, **changes)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        _refuse_slots(cls)
        _refuse_init_variables(cls)
        own = vars(cls)
        for name in _KEPT:
            # `@dataclass` does not replace attributes that the class already defines.
            if name not in own:
                setattr(cls, name, _find_in_lineage(cls, name))
        for value in own.values():
            if isinstance(value, dataclasses.Field) and not value.init:
                _let_post_init_fill(cast("dataclasses.Field[Any]", value))
        if "__post_init__" in own and not hasattr(super(cls, cls), "__post_init__"):
            setattr(cls, "model_post_init", _followed_by_post_init(cls.model_post_init))  # noqa: B010

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        super().__pydantic_init_subclass__(**options)
        if "__match_args__" not in vars(cls):
            setattr(cls, "__match_args__", _positional_fields_of(cls))  # noqa: B010 - pyright takes it for ()
        if cls.__pydantic_complete__ and cls.__init__ is Record.__init__:
            cls.__signature__ = _signature_of(cls)


def _find_in_lineage(cls: type[Record], name: str) -> object:
    """Find an attribute in the nearest ancestor's `__dict__`, without calling descriptors."""
    if name == "__dataclass_fields__":
        # In a decorated ancestor this attribute lists only that ancestor's fields.
        return vars(Record)[name]
    return next(vars(each)[name] for each in cls.__mro__[1:] if name in vars(each))


def _let_post_init_fill(field: dataclasses.Field[Any]) -> None:
    if field.default is dataclasses.MISSING is field.default_factory:
        # Without a default, pydantic would require the field as an argument.
        field.default = None


def _followed_by_post_init(before: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    def model_post_init(self: Any, context: object, /) -> None:
        # pydantic initializes private attributes in `before`.
        before(self, context)
        self.__post_init__()

    return model_post_init


def _refuse_slots(cls: type[Record]) -> None:
    slots = vars(cls).get("__slots__", ())
    if set(slots) & vars(cls).get("__annotations__", {}).keys():
        raise InvalidInput(
            f"{cls.__qualname__} can't have slots, because it is a pydantic model; "
            "use @dataclass without slots=True"
        )


def _refuse_init_variables(cls: type[Record]) -> None:
    annotations: dict[str, object] = vars(cls).get("__annotations__", {})
    for name, kind in annotations.items():
        # Postponed annotations are strings.
        told = kind.partition("[")[0] if isinstance(kind, str) else ""
        if isinstance(kind, dataclasses.InitVar) or told.rpartition(".")[2] == "InitVar":
            raise InvalidInput(
                f"{cls.__qualname__}.{name} can't be an InitVar in a pydantic model; "
                "make it a field"
            )


def _positional_fields_of(cls: type[BaseModel]) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for each in reversed(cls.__mro__):
        if issubclass(each, Record):
            fields = each.model_fields
            own = [name for name in vars(each).get("__annotations__", {}) if name in fields]
            chosen = [name for name in own if fields[name].kw_only is False]
            names.update(
                (name, None)
                for name in chosen or own
                # Both are None if `dataclasses.field` did not set them.
                if fields[name].kw_only is not True and fields[name].init is not False
            )
    return tuple(names)


def _by_name(
    cls: type[Record], arguments: tuple[object, ...], fields: Mapping[str, object]
) -> dict[str, object]:
    names: tuple[str, ...] = _positional_fields_of(cls)
    if len(arguments) > len(names):
        raise WrongCall(
            f"{cls.__name__} takes {len(names)} positional arguments "
            f"({', '.join(names) or 'none'}), not {len(arguments)}; name the others"
        )
    named = dict(zip(names, arguments, strict=False))
    twice = named.keys() & fields.keys()
    if twice:
        raise WrongCall(
            f"{cls.__name__} got {', '.join(sorted(twice))} by position and by name; give it once"
        )
    return named | dict(fields)


def _signature_of(cls: type[Record]) -> Signature:
    """The signature that pydantic generates, with the positional fields moved to the front."""
    by_name = {
        name: parameter
        for name, parameter in cls.__signature__.parameters.items()
        if parameter.kind is not Parameter.VAR_POSITIONAL
    }
    in_front: list[Parameter] = []
    for name in _positional_fields_of(cls):
        parameter = by_name.get(name)
        if parameter is None:
            continue
        if in_front and parameter.default is Parameter.empty is not in_front[-1].default:
            # A signature can't have a required positional parameter after an optional one. The
            # field still accepts a positional argument.
            break
        in_front.append(by_name.pop(name).replace(kind=Parameter.POSITIONAL_OR_KEYWORD))
    return Signature([*in_front, *by_name.values()], return_annotation=None)


def _dataclass_fields_of(cls: type[Record]) -> dict[str, dataclasses.Field[Any]]:
    declared: list[tuple[str, Any, Any]] = []
    for name, info in cls.model_fields.items():
        options: dict[str, Any] = {}
        if info.default_factory is not None:
            options["default_factory"] = info.default_factory
        elif not info.is_required():
            options["default_factory"] = partial(copy.copy, info.default)
            if info.default.__hash__ is not None:
                options = {"default": info.default}
        # Keyword-only, so that a field without default may follow one with a default.
        declared.append((name, info.annotation, dataclasses.field(kw_only=True, **options)))
    made = dataclasses.make_dataclass(cls.__name__, declared)
    return cast("dict[str, dataclasses.Field[Any]]", made.__dataclass_fields__)
