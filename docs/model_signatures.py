"""Tells the reference what a pydantic model or a NamedTuple is called with: its fields.

An extension of griffe, which reads sources without running them, and so sees no such signature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from griffe import (
    Attribute,
    Class,
    Expr,
    ExprCall,
    ExprKeyword,
    ExprName,
    ExprSubscript,
    ExprTuple,
    Extension,
    Function,
    GriffeLoader,
    Module,
    Parameter,
    ParameterKind,
    Parameters,
)


class ModelSignatures(Extension):
    """Gives each model an `__init__` of its fields and those that it inherits."""

    def on_package(self, *, pkg: Module, loader: GriffeLoader, **_: object) -> None:
        """Do so for a package that was read as a whole."""
        for model in list(_classes_of(pkg)):
            lineage = [model, *model.mro()]
            if "__init__" not in model.members and any(map(_is_direct_model, lineage)):
                model.set_member("__init__", _signature_of(lineage, _kind_of))
            elif any(str(base) == "NamedTuple" for base in model.bases):
                model.set_member("__init__", _signature_of([model], _by_position))


def _classes_of(scope: Module | Class) -> Iterator[Class]:
    for member in scope.members.values():
        if member.is_alias:
            continue
        if isinstance(member, Class):
            yield member
        if isinstance(member, (Module, Class)):
            yield from _classes_of(member)


def _is_direct_model(each: Class) -> bool:
    return any(str(base) == "BaseModel" for base in each.bases)


def _signature_of(
    lineage: list[Class], kind_of: Callable[[str | Expr | None], ParameterKind]
) -> Function:
    fields: dict[str, Attribute] = {}
    for each in reversed(lineage):
        fields.update(
            (name, member)
            for name, member in each.members.items()
            if isinstance(member, Attribute) and _is_field(member)
        )
    parameters = [
        Parameter(
            name,
            annotation=_plain(field.annotation, field.module),
            kind=kind_of(field.value),
            default=_default_of(field.value),
        )
        for name, field in fields.items()
    ]
    parameters.sort(key=lambda each: each.kind is ParameterKind.keyword_only)
    itself = Parameter("self", kind=ParameterKind.positional_or_keyword)
    return Function("__init__", parameters=Parameters(itself, *parameters), returns="None")


def _is_field(member: Attribute) -> bool:
    if member.annotation is None or "ClassVar" in str(member.annotation):
        return False
    return member.is_public and "property" not in member.labels


def _plain(annotation: str | Expr | None, module: Module) -> str | Expr | None:
    """The type itself, without the rules that a private name or `Annotated` puts on it."""
    if isinstance(annotation, ExprName) and annotation.name.startswith("_"):
        alias = module.members.get(annotation.name)
        return _plain(alias.value, module) if isinstance(alias, Attribute) else annotation
    if isinstance(annotation, ExprSubscript) and str(annotation.left) == "Annotated":
        inner = annotation.slice
        return _plain(inner.elements[0], module) if isinstance(inner, ExprTuple) else annotation
    return annotation


def _by_position(_: str | Expr | None) -> ParameterKind:
    return ParameterKind.positional_or_keyword


def _kind_of(value: str | Expr | None) -> ParameterKind:
    is_by_position = str((_arguments_of_field(value) or {}).get("kw_only")) == "False"
    return ParameterKind.positional_or_keyword if is_by_position else ParameterKind.keyword_only


def _default_of(value: str | Expr | None) -> str | Expr | None:
    given = _arguments_of_field(value)
    if given is None:
        return value
    if "default_factory" in given:
        return f"{given['default_factory']}()"
    return given.get("default")


def _arguments_of_field(value: str | Expr | None) -> dict[str, str | Expr] | None:
    """What `Field` is called with; None where a value is no call of it."""
    if not isinstance(value, ExprCall) or str(value.function) != "Field":
        return None
    return {
        argument.name: argument.value
        for argument in value.arguments
        if isinstance(argument, ExprKeyword)
    }
